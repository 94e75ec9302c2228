//! What is coherent by itself: some of the cached records, and what says whether they may be used.
//!
//! Everything happens under the shard's lock, in this order of events: tracking begins with a new epoch ([`Shard::reset`]); pings
//! that were answered extend the lease; a miss takes a [`Note`] before it sends its read, and may insert what it read only if
//! nothing was invalidated in between; whatever may have been missed ends the epoch.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use crate::recently_used::RecentlyUsed;

#[cfg(test)]
mod model;

/// Nanoseconds since the cache was made.
pub(super) type Nanos = u64;

/// A part of the cache. `F` is a read under way, which others may wait for.
#[cfg_attr(test, derive(Clone))]
pub(super) struct Shard<K: Hash + Eq, V, F> {
    epoch: u64,
    /// Counts invalidations.
    generation: u64,
    /// Until when a push that was lost or is late cannot be older than the bound. 0: no lease.
    lease_until: Nanos,
    entries: RecentlyUsed<K, Entry<V>>,
    flights: HashMap<K, Flight<F>>,
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

#[cfg_attr(test, derive(Clone))]
struct Flight<F> {
    began: Nanos,
    shared: F,
}

/// What has to be unchanged for an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    epoch: u64,
    generation: u64,
}

impl Note {
    pub(super) const fn is_of(self, epoch: u64) -> bool {
        self.epoch == epoch
    }
}

impl<K: Hash + Eq + Copy, V, F: Clone> Shard<K, V, F> {
    /// Room for so many entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            epoch: 0,
            generation: 0,
            lease_until: 0,
            entries: RecentlyUsed::new(capacity),
            flights: HashMap::new(),
            hits: 0,
        }
    }

    /// Ends the epoch: what is held may be stale, and what is being read too.
    pub(super) fn reset(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.lease_until = 0;
        self.entries.clear();
        self.flights.clear();
    }

    /// A ping that was sent in `epoch` was answered: what was invalidated before it was sent has been heard of.
    pub(super) fn extend(&mut self, epoch: u64, until: Nanos) {
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

    /// To be taken before the read is sent. `None` without a lease.
    pub(super) fn note(&self, now: Nanos) -> Option<Note> {
        self.has_lease(now).then_some(Note {
            epoch: self.epoch,
            generation: self.generation,
        })
    }

    /// A read under way that began less than `age` ago, and that no invalidation has overtaken; and when it will have begun so long
    /// ago.
    pub(super) fn join(&self, key: &K, now: Nanos, age: Nanos) -> Option<(F, Nanos)> {
        let flight = self.flights.get(key)?;
        let until = flight.began.saturating_add(age);
        (now < until).then(|| (flight.shared.clone(), until))
    }

    pub(super) fn depart(&mut self, key: K, now: Nanos, shared: F) {
        self.flights.insert(key, Flight { began: now, shared });
    }

    /// The end of a read. `false` when an invalidation has overtaken it, or another one has taken its place.
    pub(super) fn land(&mut self, key: &K, is_it: impl Fn(&F) -> bool) -> bool {
        let is_current = self.flights.get(key).is_some_and(|flight| is_it(&flight.shared));
        if is_current {
            self.flights.remove(key);
        }
        is_current
    }

    /// Takes in what was read after `note`.
    pub(super) fn insert(&mut self, note: Note, key: K, value: Arc<V>, now: Nanos, until: Nanos) {
        if self.note(now) == Some(note) {
            self.entries.put(key, Entry { value, until });
        }
    }

    /// The record changed, or vanished.
    pub(super) fn invalidate(&mut self, key: &K) {
        self.generation += 1;
        self.entries.remove(key);
        self.flights.remove(key);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn hits(&self) -> u64 {
        self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shard with a read of key 1 under way since 100, which may be joined for 50.
    fn shard() -> Shard<u8, &'static str, &'static str> {
        let mut shard = Shard::new(4);
        shard.reset(1);
        shard.extend(1, 1_000);
        shard.depart(1, 100, "first");
        shard
    }

    #[test]
    fn a_read_is_joined_while_it_is_younger_than_the_bound() {
        let shard = shard();
        for (now, joined) in [(100, true), (149, true), (150, false), (151, false)] {
            assert_eq!(shard.join(&1, now, 50).is_some(), joined, "{now}");
        }
        assert_eq!(shard.join(&1, 149, 50), Some(("first", 150)));
        assert_eq!(shard.join(&2, 100, 50), None, "of another record");
    }

    #[test]
    fn a_read_that_a_change_has_overtaken_is_not_joined() {
        let mut changed = shard();
        changed.invalidate(&2);
        assert!(changed.join(&1, 120, 50).is_some(), "another record changed");
        changed.invalidate(&1);
        assert_eq!(changed.join(&1, 120, 50), None);
        assert!(!changed.land(&1, |_| true));
        let mut lost = shard();
        lost.reset(2);
        assert_eq!(lost.join(&1, 120, 50), None);
        assert!(!lost.land(&1, |_| true));
    }

    #[test]
    fn a_read_that_ends_ends_no_other() {
        let mut shard = shard();
        shard.depart(1, 160, "second");
        assert!(!shard.land(&1, |read| *read == "first"));
        assert_eq!(shard.join(&1, 170, 50), Some(("second", 210)));
        assert!(shard.land(&1, |read| *read == "second"));
        assert_eq!(shard.join(&1, 170, 50), None);
        assert!(shard.flights.is_empty());
    }
}
