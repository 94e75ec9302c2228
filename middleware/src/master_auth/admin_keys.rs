//! Named admin keys: finding the key of a presented secret.

use std::{collections::BTreeSet, fmt, sync::Arc};

use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::{AdminKeyEntry, Administrator, InvalidAdminKeys, Rights, admin_key_entry::parse_entries};
use crate::{clock::Timestamp, id::AgentId};

/// The named keys of administrators. Only hashes of their secrets are kept.
///
/// ```
/// use tower_session_auth::master_auth::{AdminKeyEntry, AdminKeys, AdminSecret};
///
/// let secret = AdminSecret::generate()?;
/// let entry = AdminKeyEntry::new("deploy", secret.hash_hex(), ["open", "list"]);
/// let keys = AdminKeys::from_entries([entry])?;
/// assert_eq!(keys.names().collect::<Vec<_>>(), ["deploy"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct AdminKeys(Arc<[AdminKey]>);

/// One admin key.
#[derive(PartialEq)]
pub(super) struct AdminKey {
    pub(super) name: Arc<str>,
    pub(super) hash: [u8; 32],
    pub(super) rights: Rights,
    pub(super) agents: Option<Arc<BTreeSet<AgentId>>>,
    pub(super) expires_at: Option<Timestamp>,
}

/// The outcome of a lookup.
#[derive(Debug)]
pub(super) enum Lookup {
    Valid(Administrator),
    /// The name of a key whose `expires_at` has been reached.
    Expired,
    Unknown,
}

impl AdminKeys {
    /// No key.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Checks entries, for example of a key file.
    ///
    /// # Errors
    /// All mistakes in all entries: an unknown right, a hash that is not SHA-256 in hex, an invalid name, agent or date, and a name or
    /// a hash that occurs twice.
    pub fn from_entries(entries: impl IntoIterator<Item = AdminKeyEntry>) -> Result<Self, InvalidAdminKeys> {
        parse_entries(entries).map(|keys| Self(keys.into()))
    }

    /// True if there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| &*key.name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &AdminKey> {
        self.0.iter()
    }

    /// The keys that have expired, with the times from which they are rejected.
    pub fn expired(&self, now: Timestamp) -> impl Iterator<Item = (&str, Timestamp)> {
        let ends = self
            .0
            .iter()
            .filter_map(|key| Some((&*key.name, key.expires_at?)));
        ends.filter(move |(_, end)| now >= *end)
    }

    /// Finds the key of a secret. The time depends only on the number of keys and the length of `secret`. With `name`, the key must
    /// have that name. A key is expired when `now >= expires_at`.
    pub(super) fn find(&self, secret: &[u8], name: Option<&str>, now: Timestamp) -> Lookup {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let mut found = u32::MAX;
        for (index, key) in (0..).zip(self.0.iter()) {
            found.conditional_assign(&index, key.hash.ct_eq(&hash));
        }
        let key = usize::try_from(found).ok().and_then(|index| self.0.get(index));
        match key {
            Some(key) if name.is_some_and(|name| name != &*key.name) => Lookup::Unknown,
            Some(key) if key.expires_at.is_some_and(|end| now >= end) => Lookup::Expired,
            Some(key) => Lookup::Valid(Administrator::new(
                key.name.clone(),
                key.rights,
                key.agents.clone(),
            )),
            None => Lookup::Unknown,
        }
    }
}

impl fmt::Debug for AdminKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master_auth::{AdminSecret, Right};

    #[test]
    fn a_key_is_found_by_its_secret_alone_until_it_expires() {
        let secrets: Vec<_> = (0..3).map(|_| AdminSecret::generate().unwrap()).collect();
        let entries = secrets.iter().enumerate().map(|(n, secret)| {
            let mut entry = AdminKeyEntry::new(format!("key-{n}"), secret.hash_hex(), ["list"]);
            entry.expires_at = (n == 1).then(|| "1970-01-01T00:16:40Z".to_owned());
            entry
        });
        let keys = AdminKeys::from_entries(entries).unwrap();
        let find = |secret: &str, name: Option<&str>, now| keys.find(secret.as_bytes(), name, Timestamp(now));

        for (n, secret) in secrets.iter().enumerate() {
            let name = format!("key-{n}");
            for given in [None, Some(&*name)] {
                let Lookup::Valid(found) = find(secret.expose(), given, 999) else {
                    panic!("{name} is not found");
                };
                assert_eq!(found.name(), name);
                assert_eq!(found.rights().iter().collect::<Vec<_>>(), [Right::List]);
            }
            assert!(matches!(find(secret.expose(), Some("key"), 999), Lookup::Unknown));
            let changed = format!("{}x", secret.expose());
            assert!(matches!(find(&changed, None, 999), Lookup::Unknown));
            assert!(matches!(find(&secret.hash_hex(), None, 999), Lookup::Unknown));
        }
        for (now, expired) in [(999, false), (1_000, true), (1_001, true)] {
            let found = find(secrets[1].expose(), None, now);
            assert_eq!(matches!(found, Lookup::Expired), expired, "{now}");
        }
        assert!(matches!(
            AdminKeys::none().find(b"", None, Timestamp(0)),
            Lookup::Unknown
        ));
    }

    #[test]
    fn debug_output_has_names_and_no_hashes() {
        let secret = AdminSecret::generate().unwrap();
        let entry = AdminKeyEntry::new("ci", secret.hash_hex(), ["list"]);
        let shown = format!(
            "{secret:?} {entry:?} {:?}",
            AdminKeys::from_entries([entry.clone()])
        );
        assert!(shown.contains("ci"), "{shown}");
        assert!(
            !shown.contains(&secret.hash_hex()) && !shown.contains(&secret.expose()[10..]),
            "{shown}"
        );
    }
}
