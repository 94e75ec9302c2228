//! A shard: a part of the cached records, with the state that decides whether they may be used.
//!
//! All methods run under the shard's lock. The protocol:
//!
//! 1. A tracking connection begins a new epoch with an empty shard ([`Shard::begin_epoch`]).
//! 2. Each answered ping extends the lease ([`Shard::extend_lease`]). Without a lease there are no hits and no insertions.
//! 3. A miss takes the [`Version`] before it sends its read. It may insert the record only if the record was not invalidated since.
//! 4. An invalidation is remembered for a while ([`Shard::invalidate`]), so a read of this record that was in flight is not cached.
//! 5. If any record may have changed, all entries are dropped, and no read in flight is cached ([`Shard::invalidate_all`]).
//! 6. If an invalidation may have been missed, a new epoch begins.

use std::{collections::VecDeque, hash::Hash, sync::Arc};

use crate::recently_used::RecentlyUsed;

/// Compares the states of a model by what decides about later states.
#[cfg(test)]
macro_rules! compare_by_view {
    ($state:ty) => {
        impl PartialEq for $state {
            fn eq(&self, other: &Self) -> bool {
                self.view() == other.view()
            }
        }

        impl Eq for $state {}

        impl Hash for $state {
            fn hash<H: Hasher>(&self, hasher: &mut H) {
                self.view().hash(hasher);
            }
        }
    };
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod tests;

/// The number of invalidations that a shard remembers. A read during which more of them arrive is not cached.
const REMEMBERED: usize = 128;

/// Nanoseconds since the cache was made.
pub(super) type Nanos = u64;

#[cfg_attr(test, derive(Clone))]
pub(super) struct Shard<K: Hash + Eq, V> {
    epoch: u64,
    /// The number of invalidations.
    generation: u64,
    /// The keys of the last invalidations, the newest last.
    invalidated: VecDeque<K>,
    /// The end of the lease; 0 without one. Until then, an invalidation that was lost or delayed is younger than the bound.
    lease_until: Nanos,
    entries: RecentlyUsed<K, Entry<V>>,
    hits: u64,
}

struct Entry<V> {
    value: Arc<V>,
    until: Nanos,
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            until: self.until,
        }
    }
}

/// The state of a shard when a read is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    epoch: u64,
    generation: u64,
}

impl Version {
    pub(super) const fn is_of(self, epoch: u64) -> bool {
        self.epoch == epoch
    }
}

impl<K: Hash + Eq + Copy, V> Shard<K, V> {
    /// A shard with room for `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            epoch: 0,
            generation: 0,
            invalidated: VecDeque::new(),
            lease_until: 0,
            entries: RecentlyUsed::new(capacity),
            hits: 0,
        }
    }

    /// Ends the epoch: cached records and reads in flight may be stale.
    pub(super) fn begin_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.lease_until = 0;
        self.entries.clear();
    }

    /// Extends the lease after a ping that was sent in `epoch` was answered: every invalidation before it was sent has arrived.
    pub(super) fn extend_lease(&mut self, epoch: u64, until: Nanos) {
        if epoch == self.epoch {
            self.lease_until = self.lease_until.max(until);
        }
    }

    pub(super) const fn has_lease(&self, now: Nanos) -> bool {
        now < self.lease_until
    }

    pub(super) fn get(&mut self, key: &K, now: Nanos) -> Option<Arc<V>> {
        if !self.has_lease(now) {
            return None;
        }
        let entry = self.entries.get(key)?;
        if now >= entry.until {
            self.entries.remove(key);
            return None;
        }
        self.hits += 1;
        Some(entry.value)
    }

    /// Returns the version, to be taken before a read is sent. `None` without a lease.
    pub(super) fn version(&self, now: Nanos) -> Option<Version> {
        self.has_lease(now).then_some(Version {
            epoch: self.epoch,
            generation: self.generation,
        })
    }

    /// Caches a value that was read after `version` was taken, if its record was certainly not invalidated since.
    pub(super) fn insert(&mut self, version: Version, key: K, value: Arc<V>, now: Nanos, until: Nanos) {
        if self.has_lease(now)
            && version.epoch == self.epoch
            && !self.may_be_invalidated(&key, version.generation)
        {
            self.entries.put(key, Entry { value, until });
        }
    }

    /// True if an invalidation after this generation was of the key, or is not remembered any longer.
    fn may_be_invalidated(&self, key: &K, generation: u64) -> bool {
        let since = usize::try_from(self.generation - generation).unwrap_or(usize::MAX);
        since > self.invalidated.len()
            || self
                .invalidated
                .iter()
                .rev()
                .take(since)
                .any(|other| other == key)
    }

    /// Drops the entry of a record that changed or expired, and prevents reads of it in flight from being cached.
    pub(super) fn invalidate(&mut self, key: &K) {
        self.generation += 1;
        if self.invalidated.len() == REMEMBERED {
            self.invalidated.pop_front();
        }
        self.invalidated.push_back(*key);
        self.entries.remove(key);
    }

    /// Drops all entries, since any of their records may have changed, and prevents reads in flight from being cached.
    pub(super) fn invalidate_all(&mut self) {
        self.generation += 1;
        // An invalidation that is not remembered may be of any record.
        self.invalidated.clear();
        self.entries.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn hits(&self) -> u64 {
        self.hits
    }
}
