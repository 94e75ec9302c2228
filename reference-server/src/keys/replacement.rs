//! Replacing all secrets at once, after a theft.

use std::fmt;

use tower_session_auth::{SigningKey, clock::Timestamp, token::KeyError};

use super::document::{Entry, KeyDocument, Mark};

/// All secrets of a file were replaced by a new one. `Display` says what has changed, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// The id of the new key, which signs.
    pub id: String,
    /// The ids of the removed keys.
    pub removed: Vec<String>,
    /// The ids of the public keys that stay.
    pub kept: Vec<String>,
}

/// Removes all secrets, and signs with a new one. Public keys stay, except those of removed secrets.
pub(super) fn replace_all(document: &mut KeyDocument, now: Timestamp) -> Result<Replaced, KeyError> {
    let new = Entry::new(&SigningKey::generate()?, Mark::SigningSince(now));
    let id = new.id.clone();
    let secrets = document.entries.iter().filter(|entry| entry.is_secret);
    let removed: Vec<_> = secrets.map(|entry| entry.id.clone()).collect();
    for index in (0..document.entries.len()).rev() {
        if removed.contains(&document.entries[index].id) {
            document.remove(index);
        }
    }
    let kept = document.entries.iter().map(|entry| entry.id.clone()).collect();
    document.entries.insert(0, new);
    Ok(Replaced { id, removed, kept })
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, removed) = (&self.id, self.removed.join(" and "));
        write!(
            f,
            "removed {removed}. {id} signs now. Bring this file to all servers now. "
        )?;
        f.write_str("They reject all tokens of the removed keys. Each agent then needs a new token.")?;
        if self.kept.is_empty() {
            return Ok(());
        }
        let kept = self.kept.join(" and ");
        write!(
            f,
            "\nStill accepted: the public keys {kept}. Remove those that were stolen too."
        )
    }
}
