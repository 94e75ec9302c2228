//! The command `admin-key`: makes a named admin key.

use std::io::{self, IsTerminal, Write};

use tower_session_auth::{
    AgentId,
    master_auth::{AdminKeyEntry, AdminKeys, AdminSecret, Right},
};

use super::{Failure, note, print};

/// The arguments of the command.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct AdminKeyArgs {
    /// The name of the key, for logs: 1 to 64 of the characters A-Z a-z 0-9 - . _.
    name: String,
    /// The rights: open, list, revoke, rotate, agents, metrics, introspect.
    #[arg(long, value_delimiter = ',', required = true)]
    rights: Vec<Right>,
    /// The ids of the agents that the key may act on (default: all agents).
    #[arg(long, value_delimiter = ',')]
    agents: Vec<AgentId>,
    /// The time at which the key expires, such as 2027-01-31 or 2027-01-31T12:00:00Z (default: never).
    #[arg(long)]
    expires_at: Option<String>,
}

pub(super) fn run(arguments: AdminKeyArgs) -> Result<(), Failure> {
    let key = make(arguments).map_err(Failure::Input)?;
    print(&key.table)?;
    if io::stderr().is_terminal() {
        note("The secret, shown once. Send it as \"Authorization: Bearer SECRET\":");
    }
    // Standard output is the key file, which must not contain the secret.
    writeln!(io::stderr(), "{}", key.secret.expose())
        .map_err(|error| Failure::Other(format!("cannot write the secret to standard error: {error}")))
}

/// A new key: the secret for its owner, and the table for the key file.
struct NewAdminKey {
    secret: AdminSecret,
    table: String,
}

/// Makes a key. The error says what is wrong with the arguments, or that there is no randomness.
fn make(arguments: AdminKeyArgs) -> Result<NewAdminKey, String> {
    let secret = AdminSecret::generate().map_err(|error| error.to_string())?;
    let mut entry = AdminKeyEntry::new(
        arguments.name,
        secret.hash_hex(),
        arguments.rights.iter().map(|right| right.as_str()),
    );
    let agents: Vec<_> = arguments.agents.iter().map(AgentId::to_string).collect();
    entry.agents = (!agents.is_empty()).then_some(agents);
    entry.expires_at = arguments.expires_at;
    AdminKeys::from_entries([entry.clone()]).map_err(|error| {
        let issues: Vec<_> = error.issues().iter().map(ToString::to_string).collect();
        issues.join("\n")
    })?;
    Ok(NewAdminKey {
        secret,
        table: table(&entry),
    })
}

/// The checked entry as a TOML table. Its texts contain no character that TOML must escape.
fn table(entry: &AdminKeyEntry) -> String {
    let list = |texts: &[String]| {
        let quoted: Vec<_> = texts.iter().map(|text| format!("\"{text}\"")).collect();
        format!("[{}]", quoted.join(", "))
    };
    let mut lines = vec![
        "[[admin_key]]".to_owned(),
        format!("name = \"{}\"", entry.name),
        format!("hash = \"{}\"", entry.hash),
        format!("rights = {}", list(&entry.rights)),
    ];
    lines.extend(
        entry
            .agents
            .as_deref()
            .map(|agents| format!("agents = {}", list(agents))),
    );
    lines.extend(
        entry
            .expires_at
            .as_ref()
            .map(|at| format!("expires_at = \"{at}\"")),
    );
    lines.join("\n")
}
