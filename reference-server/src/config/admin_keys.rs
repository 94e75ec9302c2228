//! The file of `admin_keys_file`: one `[[admin_key]]` table for each key.

use std::path::Path;

use serde::Deserialize;
use tower_session_auth::master_auth::{AdminKeyEntry, AdminKeys};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    #[serde(default)]
    admin_key: Vec<KeyTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    #[serde(default)]
    name: String,
    #[serde(default)]
    hash: String,
    #[serde(default)]
    rights: Vec<String>,
    agents: Option<Vec<String>>,
    /// A text, or a date or time of TOML.
    expires_at: Option<toml::Value>,
}

impl From<KeyTable> for AdminKeyEntry {
    fn from(table: KeyTable) -> Self {
        let mut entry = Self::new(table.name, table.hash, table.rights);
        entry.agents = table.agents;
        entry.expires_at = table.expires_at.map(|at| match at {
            toml::Value::String(text) => text,
            toml::Value::Datetime(at) => at.to_string(),
            // Not a date, as the check will report.
            other => other.type_str().to_owned(),
        });
        entry
    }
}

/// Reads the keys. A byte order mark at the start is ignored.
///
/// The errors name the path, and the entry or the line. They contain no text of the file except names, rights, agents and dates.
pub(super) fn read(path: &Path) -> Result<AdminKeys, Vec<String>> {
    let wrong = |what: String| format!("{}: {what}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| vec![wrong(error.to_string())])?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let file: KeyFile = toml::from_str(text).map_err(|error| {
        // The line, and the value in the message, may be a secret in the wrong place.
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        vec![wrong(format!("line {line}: {}", without_value(error.message())))]
    })?;
    let keys = AdminKeys::from_entries(file.admin_key.into_iter().map(AdminKeyEntry::from));
    let keys = keys.map_err(|error| error.issues().iter().cloned().map(&wrong).collect::<Vec<_>>())?;
    if keys.is_empty() {
        return Err(vec![wrong(
            "has no [[admin_key]] table (make one with: session-auth-server admin-key NAME --rights …)"
                .to_owned(),
        )]);
    }
    Ok(keys)
}

/// Removes the quoted value from a message such as `invalid type: string "…", expected a sequence`.
fn without_value(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", message[..start].trim_end(), &message[end + 1..])
        }
        _ => message.to_owned(),
    }
}
