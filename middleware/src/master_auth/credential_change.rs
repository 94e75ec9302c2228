//! The difference between two sets of credentials, for a log.

use super::Credentials;

/// The difference between the credentials of a layer before and after a replacement. It has names and no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CredentialChange {
    /// The names of admin keys that are accepted now and were not before.
    pub added: Vec<String>,
    /// The names of admin keys that are rejected from now on.
    pub removed: Vec<String>,
    /// The names of admin keys with another secret, other rights, agents or another expiry.
    pub changed: Vec<String>,
    /// True if the master password was added, removed or replaced.
    pub master_password: bool,
}

impl CredentialChange {
    pub(super) fn new(before: &Credentials, now: &Credentials) -> Self {
        let mut change = Self {
            master_password: !now.has_password_of(before),
            ..Self::default()
        };
        for key in now.keys.iter() {
            match before.keys.iter().find(|earlier| earlier.name == key.name) {
                None => change.added.push(key.name.to_string()),
                Some(earlier) if earlier != key => change.changed.push(key.name.to_string()),
                Some(_) => {}
            }
        }
        let is_gone = |name: &str| now.keys.names().all(|kept| kept != name);
        let gone = before.keys.names().filter(|name| is_gone(name));
        change.removed = gone.map(str::to_owned).collect();
        change
    }

    /// True if nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master_auth::{AdminKeyEntry, AdminKeys};

    fn entry(name: &str) -> AdminKeyEntry {
        AdminKeyEntry::new(name, "5f".repeat(32), ["list"])
    }

    fn keys(entries: impl IntoIterator<Item = AdminKeyEntry>) -> Credentials {
        Credentials::keys(AdminKeys::from_entries(entries).unwrap())
    }

    #[test]
    fn each_field_of_an_admin_key_is_compared_and_its_place_is_not() {
        let mut other = entry("other");
        other.hash = "60".repeat(32);
        let before = keys([entry("ci"), other.clone()]);
        assert!(CredentialChange::new(&before, &keys([other.clone(), entry("ci")])).is_empty());

        let changes: [fn(&mut AdminKeyEntry); 4] = [
            |key| key.hash = "61".repeat(32),
            |key| key.rights.push("revoke".to_owned()),
            |key| key.agents = Some(vec!["0199c82c-c000-7abc-8def-0123456789ab".to_owned()]),
            |key| key.expires_at = Some("2027-01-31".to_owned()),
        ];
        for change in changes {
            let mut key = entry("ci");
            change(&mut key);
            let change = CredentialChange::new(&before, &keys([key, other.clone()]));
            let expected = CredentialChange {
                changed: vec!["ci".to_owned()],
                ..CredentialChange::default()
            };
            assert_eq!(change, expected);
        }

        let renamed = CredentialChange::new(&before, &keys([entry("deploy"), other]));
        assert_eq!(renamed.added, ["deploy"]);
        assert_eq!(renamed.removed, ["ci"]);
        assert!(renamed.changed.is_empty() && !renamed.master_password);
    }
}
