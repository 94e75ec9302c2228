//! Ids of unknown keys.

use std::collections::HashSet;

/// Maximum number of ids of each kind. Tokens of attackers can have any id.
const MAX_IDS: usize = 1024;

/// The unknown keys, by what the fetches have shown about them.
///
/// A key is absent if the last successful fetch did not list it, and began after a token of this key was received. Any other unknown
/// key may have been published since. So tokens of attackers cannot make the follower reject tokens of a new key.
#[derive(Debug, Default)]
pub(super) struct UnknownKeys {
    /// Requested after the last fetch began. That fetch shows nothing about them.
    requested: HashSet<Box<str>>,
    /// Requested before the last fetch began.
    in_fetch: HashSet<Box<str>>,
    absent: HashSet<Box<str>>,
}

impl UnknownKeys {
    /// Records that a token has this key.
    pub(super) fn request(&mut self, key_id: &str) {
        if self.requested.len() < MAX_IDS {
            self.requested.insert(key_id.into());
        }
    }

    /// Records that a fetch begins.
    pub(super) fn fetch_begins(&mut self) {
        for key_id in self.requested.drain() {
            if self.in_fetch.len() < MAX_IDS {
                self.in_fetch.insert(key_id);
            }
        }
    }

    /// Records a successful fetch: requested ids outside `keys` are absent.
    pub(super) fn fetched<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) {
        self.absent = std::mem::take(&mut self.in_fetch);
        for key in keys {
            self.absent.remove(key);
        }
    }

    /// True if a fetch has shown that the key does not exist.
    pub(super) fn is_absent(&self, key_id: &str) -> bool {
        self.absent.contains(key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_that_was_requested_and_not_found_is_absent() {
        let mut unknown = UnknownKeys::default();
        unknown.request("forged");
        unknown.request("new");
        unknown.fetch_begins();
        assert!(!unknown.is_absent("forged"), "the fetch has not ended");
        unknown.fetched(["current", "new"]);
        let absent = ["forged", "new", "later"].map(|key| unknown.is_absent(key));
        assert_eq!(absent, [true, false, false]);
    }

    #[test]
    fn key_that_was_requested_during_a_fetch_is_absent_only_after_the_next_one() {
        let mut unknown = UnknownKeys::default();
        unknown.fetch_begins();
        unknown.request("new");
        unknown.fetched(["current"]);
        assert!(!unknown.is_absent("new"), "published during the fetch, perhaps");
        unknown.fetch_begins();
        unknown.fetched(["current"]);
        assert!(unknown.is_absent("new"));
    }

    #[test]
    fn absent_key_must_be_requested_again_before_each_fetch() {
        let mut unknown = UnknownKeys::default();
        unknown.request("forged");
        unknown.fetch_begins();
        unknown.fetched([]);
        assert!(unknown.is_absent("forged"));
        unknown.fetch_begins();
        unknown.request("forged");
        unknown.fetched([]);
        assert!(!unknown.is_absent("forged"), "requested during the fetch");
    }

    #[test]
    fn ids_of_a_failed_fetch_are_in_the_next_one() {
        let mut unknown = UnknownKeys::default();
        unknown.request("forged");
        unknown.fetch_begins();
        unknown.fetch_begins();
        unknown.fetched([]);
        assert!(unknown.is_absent("forged"));
    }

    #[test]
    fn number_of_ids_is_bounded() {
        let mut unknown = UnknownKeys::default();
        for round in 0..4 {
            // The first fetch of each round fails.
            for fetch in 0..2 {
                for number in 0..2 * MAX_IDS {
                    unknown.request(&format!("{round}-{fetch}-{number}"));
                }
                assert_eq!(unknown.requested.len(), MAX_IDS);
                unknown.fetch_begins();
                assert_eq!(unknown.in_fetch.len(), MAX_IDS);
            }
            unknown.fetched([]);
            assert_eq!(unknown.absent.len(), MAX_IDS);
            assert!(unknown.is_absent(&format!("{round}-0-0")));
        }
    }
}
