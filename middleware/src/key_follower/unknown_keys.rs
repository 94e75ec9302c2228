//! The ids of unknown keys: those that the server was asked for, and those that it does not have.

use std::collections::HashSet;

/// Maximum number of ids of each kind. Tokens of strangers can have any id.
const MAX_IDS: usize = 1024;

/// The unknown keys since the last successful fetch.
///
/// A key that was asked for before a fetch began, and that the fetch did not find, does not exist. Any other unknown key may have been
/// published since. So tokens of strangers cannot make the follower reject tokens of a new key.
#[derive(Debug, Default)]
pub(super) struct UnknownKeys {
    asked: HashSet<Box<str>>,
    confirmed: HashSet<Box<str>>,
}

impl UnknownKeys {
    /// A token has this key, and the server is asked.
    pub(super) fn ask(&mut self, key_id: &str) {
        if self.asked.len() < MAX_IDS {
            self.asked.insert(key_id.into());
        }
    }

    /// The server does not have the keys that it was asked for, except these.
    pub(super) fn fetched<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) {
        if self.confirmed.len() + self.asked.len() > MAX_IDS {
            self.confirmed.clear();
        }
        self.confirmed.extend(self.asked.drain());
        for key in keys {
            self.confirmed.remove(key);
        }
    }

    /// True if the last fetch did not find this key.
    pub(super) fn is_confirmed(&self, key_id: &str) -> bool {
        self.confirmed.contains(key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_was_asked_for_and_not_found_is_confirmed() {
        let mut unknown = UnknownKeys::default();
        unknown.ask("forged");
        unknown.ask("new");
        assert!(!unknown.is_confirmed("forged"), "the fetch has not ended");
        unknown.fetched(["current", "new"]);
        let confirmed = ["forged", "new", "later"].map(|key| unknown.is_confirmed(key));
        assert_eq!(confirmed, [true, false, false]);
        // The server publishes a key that it did not have before.
        unknown.fetched(["forged"]);
        assert!(!unknown.is_confirmed("forged"));
    }

    #[test]
    fn number_of_ids_is_bounded() {
        let mut unknown = UnknownKeys::default();
        for round in 0..4 {
            for number in 0..2 * MAX_IDS {
                unknown.ask(&format!("{round}-{number}"));
            }
            assert_eq!(unknown.asked.len(), MAX_IDS);
            unknown.fetched([]);
            assert_eq!(unknown.confirmed.len(), MAX_IDS);
            assert!(unknown.is_confirmed(&format!("{round}-0")));
        }
    }
}
