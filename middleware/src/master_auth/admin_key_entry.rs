//! Entries of admin keys: text, checked as a whole.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{ADMIN_KEY_PREFIX, Administrator, Right, Rights, admin_keys::AdminKey};
use crate::{clock::Timestamp, id::AgentId};

/// The longest name of a key, in bytes.
const MAX_NAME_LEN: usize = 64;

/// One admin key as text, to be checked by [`AdminKeys::from_entries`](super::AdminKeys::from_entries).
///
/// It can be deserialized from any format of serde. An unknown field is an error.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AdminKeyEntry {
    /// The name, for logs: 1 to 64 of the characters A-Z a-z 0-9 - . _, and not `master`.
    #[serde(default)]
    pub name: String,
    /// The SHA-256 of the whole secret, in hex.
    #[serde(default)]
    pub hash: String,
    /// The names of the [rights](Right), at least one.
    #[serde(default)]
    pub rights: Vec<String>,
    /// The ids of the agents that the key may act on. `None` means all agents.
    pub agents: Option<Vec<String>>,
    /// The time at which the key expires (RFC 3339). A date alone means its first second in UTC. `None` means never.
    pub expires_at: Option<String>,
}

/// The mistakes in the entries of admin keys. Each one names its entry. None contains a secret or a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", joined(.0))]
pub struct InvalidAdminKeys(Vec<AdminKeyIssue>);

/// A mistake in an entry of admin keys. `Display` names the entry and the field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdminKeyIssue {
    /// The number of the entry, from 1 on.
    pub entry: usize,
    /// The name of the entry, if it is a possible one.
    pub name: Option<String>,
    /// The field of [`AdminKeyEntry`].
    pub field: &'static str,
    /// The mistake, without a secret or a hash.
    pub message: String,
}

impl AdminKeyEntry {
    /// An entry for all agents that never expires.
    #[must_use]
    pub fn new<R: Into<String>>(
        name: impl Into<String>,
        hash: impl Into<String>,
        rights: impl IntoIterator<Item = R>,
    ) -> Self {
        Self {
            name: name.into(),
            hash: hash.into(),
            rights: rights.into_iter().map(Into::into).collect(),
            agents: None,
            expires_at: None,
        }
    }
}

impl InvalidAdminKeys {
    /// The mistakes, in the order of the entries.
    #[must_use]
    pub fn issues(&self) -> &[AdminKeyIssue] {
        &self.0
    }
}

fn joined(issues: &[AdminKeyIssue]) -> String {
    let issues: Vec<_> = issues.iter().map(ToString::to_string).collect();
    issues.join("; ")
}

impl fmt::Display for AdminKeyIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "admin key {}", self.entry)?;
        if let Some(name) = &self.name {
            write!(f, " ({name})")?;
        }
        write!(f, ": {}: {}", self.field, self.message)
    }
}

pub(super) fn parse_entries(
    entries: impl IntoIterator<Item = AdminKeyEntry>,
) -> Result<Vec<AdminKey>, InvalidAdminKeys> {
    let mut issues = Vec::new();
    let mut keys = Vec::new();
    let mut places_of_names = HashMap::new();
    let mut places_of_hashes = HashMap::new();
    for (number, entry) in (1..).zip(entries) {
        let name = is_name(&entry.name).then(|| entry.name.clone());
        let mut report = |field, message| {
            issues.push(AdminKeyIssue {
                entry: number,
                name: name.clone(),
                field,
                message,
            });
        };
        if let Some(earlier) = places_of_names.insert(entry.name.clone(), number)
            && !entry.name.is_empty()
        {
            report("name", format!("is also the name of admin key {earlier}"));
        }
        let key = parse_entry(&entry, &mut report);
        if let Some(hash) = parse_hash(&entry.hash)
            && let Some(earlier) = places_of_hashes.insert(hash, number)
        {
            report("hash", format!("is also the hash of admin key {earlier}"));
        }
        keys.extend(key);
    }
    if issues.is_empty() {
        Ok(keys)
    } else {
        Err(InvalidAdminKeys(issues))
    }
}

/// `None` if a mistake was reported.
fn parse_entry(entry: &AdminKeyEntry, report: &mut impl FnMut(&'static str, String)) -> Option<AdminKey> {
    if entry.name == Administrator::MASTER {
        let master = Administrator::MASTER;
        report("name", format!("{master} is reserved for the master password"));
    } else if !is_name(&entry.name) {
        let expected = format!("must be 1 to {MAX_NAME_LEN} of the characters A-Z a-z 0-9 - . _");
        report("name", expected);
    }
    let hash = parse_hash(&entry.hash);
    if entry.hash.starts_with(ADMIN_KEY_PREFIX) {
        let secret = "is the secret itself; keep the secret out of this file and set its SHA-256";
        report("hash", secret.to_owned());
    } else if hash.is_none() {
        report(
            "hash",
            "must be the SHA-256 of the secret, in 64 hex digits".to_owned(),
        );
    }
    if entry.rights.is_empty() {
        report("rights", "must name at least one right".to_owned());
    }
    let mut rights = Vec::new();
    for right in &entry.rights {
        match right.parse::<Right>() {
            Ok(right) => rights.push(right),
            Err(error) => report("rights", format!("{right:?} {error}")),
        }
    }
    let agents = entry.agents.as_ref().map(|texts| parse_agents(texts, report));
    let expires_at = entry.expires_at.as_deref().map(|text| {
        let at = parse_time(text);
        if at.is_none() {
            let expected = "must be a date, or a time with its offset such as 2027-01-31T12:00:00Z";
            report("expires_at", format!("{text:?} {expected}"));
        }
        at
    });
    Some(AdminKey {
        name: Arc::from(&*entry.name),
        hash: hash?,
        rights: rights.into_iter().collect::<Rights>(),
        agents: agents.map(Arc::new),
        expires_at: match expires_at {
            None => None,
            Some(at) => Some(at?),
        },
    })
}

fn parse_agents(texts: &[String], report: &mut impl FnMut(&'static str, String)) -> BTreeSet<AgentId> {
    if texts.is_empty() {
        let expected = "must name at least one agent; leave it out to permit all agents";
        report("agents", expected.to_owned());
    }
    let mut agents = BTreeSet::new();
    for text in texts {
        match text.parse::<AgentId>() {
            Ok(agent) => {
                agents.insert(agent);
            }
            Err(error) => report("agents", format!("{text:?} {error}")),
        }
    }
    agents
}

fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=MAX_NAME_LEN).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Parses 64 hex digits, in any case.
fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = (*byte << 4) | u8::try_from(digit).ok()?;
        }
    }
    Some(hash)
}

/// Parses a time (RFC 3339), or a date as its first second in UTC. Fractions of a second are removed.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let date = format!("{text}T00:00:00Z");
    let at = OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(&date, &Rfc3339));
    u64::try_from(at.ok()?.unix_timestamp()).ok().map(Timestamp)
}

impl fmt::Debug for AdminKeyEntry {
    /// Leaves out the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminKeyEntry")
            .field("name", &self.name)
            .field("rights", &self.rights)
            .field("agents", &self.agents)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
