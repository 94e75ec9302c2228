//! What makes a first run work with nothing set up.

use std::net::SocketAddr;

use argon2::{Argon2, PasswordHasher};
use tower_session_auth::{KeySet, SigningKey, session::SessionPolicy};

/// What was made up because it was not configured.
#[derive(Clone)]
pub struct Generated {
    /// The master password, when it was made up. Printed once, kept nowhere.
    pub password: Option<String>,
    /// Whether the signing key was made up.
    pub key: bool,
}

impl std::fmt::Debug for Generated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Generated(..)")
    }
}

/// What [`generate`] made.
pub(crate) struct Fresh {
    pub(crate) hash: Option<String>,
    pub(crate) keys: Option<KeySet>,
    pub(crate) generated: Generated,
}

pub(crate) fn generate(password: bool, key: bool) -> Result<Fresh, String> {
    let no_randomness = "no randomness to generate keys and a master password";
    let keys = key.then(SigningKey::generate).transpose();
    let keys = keys.map_err(|_| no_randomness)?.map(KeySet::single);
    let password = password.then(random_password).transpose();
    let password = password.map_err(|_| no_randomness)?;
    let hash = password
        .as_ref()
        .map(|password| Argon2::default().hash_password(password.as_bytes()))
        .transpose()
        .map_err(|error| error.to_string())?
        .map(|hash| hash.to_string());
    Ok(Fresh {
        hash,
        keys,
        generated: Generated { password, key },
    })
}

/// 128 random bits, in hex: nothing that a shell would change.
fn random_password() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Says on standard output what was made up, and how to try the server.
#[expect(clippy::print_stdout, reason = "meant for the person at the terminal")]
pub fn announce(generated: &Generated, address: SocketAddr, policy: &SessionPolicy) {
    println!(
        "session-auth-server runs on the EMBEDDED MEMORY STORE: sessions end with this process.\n\
         For production set redis_url, key_file and master_password_hash (see --help)."
    );
    if generated.key {
        println!("Signing key: made up for this run; its tokens are worth nothing after it.");
    }
    if let Some(password) = &generated.password {
        println!("Master password: made up for this run too; it stands below (PASSWORD) and nowhere else.");
        println!("\nTo try the server, paste this into another terminal:\n");
        println!("{}", walk_through(address, password, policy));
    }
    println!();
}

/// The life of a session as shell commands. They use the shortest ttl allowed, so that half of it is soon over.
#[must_use]
pub fn walk_through(address: SocketAddr, password: &str, policy: &SessionPolicy) -> String {
    let ttl = policy.min_ttl;
    let half = ttl.div_ceil(2);
    format!(
        r#"BASE=http://{address}
PASSWORD={password}
field() {{ sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }}
# An agent, and a session for it:
AGENT=$(curl -s $BASE/v1/agents -H "X-Master-Password: $PASSWORD" -H 'Content-Type: application/json' -d '{{"name":"demo"}}' | field id)
CREATED=$(curl -s $BASE/v1/sessions -H "X-Master-Password: $PASSWORD" -H 'Content-Type: application/json' -d "{{\"agentId\":\"$AGENT\",\"ttl\":{ttl}}}")
SESSION=$(echo "$CREATED" | field id); TOKEN=$(echo "$CREATED" | field token)
# The agent uses it:
curl -s $BASE/v1/session -H "Authorization: Bearer $TOKEN"; echo
# Renewing is refused until half of the ttl has passed; then it gives a new token:
curl -s -X PUT $BASE/v1/sessions/$SESSION/renew -H "Authorization: Bearer $TOKEN"; echo
sleep {half}
NEW=$(curl -s -X PUT $BASE/v1/sessions/$SESSION/renew -H "Authorization: Bearer $TOKEN" | field token)
# The old token is dead at once, the new one works:
curl -s $BASE/v1/session -H "Authorization: Bearer $TOKEN"; echo
curl -s $BASE/v1/session -H "Authorization: Bearer $NEW"; echo
# The administrator revokes the session, and the token is refused:
curl -s -X DELETE $BASE/v1/sessions/$SESSION -H "X-Master-Password: $PASSWORD"; echo
curl -s $BASE/v1/session -H "Authorization: Bearer $NEW"; echo"#
    )
}
