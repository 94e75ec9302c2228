//! The results of creations that can be repeated.

use std::collections::{BTreeSet, HashMap};

use crate::{clock::Timestamp, session::CreationId, store::CreationRetry};

/// The results of creations, until the end of their retry windows.
#[derive(Debug)]
pub(super) struct Retries<T> {
    results: HashMap<CreationId, (CreationRetry, T)>,
    ends: BTreeSet<(Timestamp, CreationId)>,
}

impl<T> Default for Retries<T> {
    fn default() -> Self {
        Self {
            results: HashMap::new(),
            ends: BTreeSet::new(),
        }
    }
}

impl<T: Clone> Retries<T> {
    /// Returns an earlier creation with this id whose retry window is open, and its result.
    pub(super) fn find(&self, id: CreationId, now: Timestamp) -> Option<(CreationRetry, T)> {
        let found = self.results.get(&id).filter(|(retry, _)| now < retry.until);
        found.cloned()
    }

    pub(super) fn insert(&mut self, retry: CreationRetry, result: T) {
        if let Some((before, _)) = self.results.insert(retry.id, (retry, result)) {
            self.ends.remove(&(before.until, before.id));
        }
        self.ends.insert((retry.until, retry.id));
    }

    /// Removes the results whose retry window has ended.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        while let Some(&(until, id)) = self.ends.first()
            && until <= now
        {
            self.ends.pop_first();
            self.results.remove(&id);
        }
    }
}
