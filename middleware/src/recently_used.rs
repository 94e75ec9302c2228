//! A bounded map that forgets what has not been used for the longest time.

use std::hash::Hash;

use lru::LruCache;

/// An entry in use is moved to the front only once this part of the capacity has been used since: moving writes to three places
/// in memory, which would cost more than the rest of a lookup. So what goes is the least recently used, give or take that part.
const LAZINESS: usize = 4;

/// Room for a number of entries.
#[derive(Clone)]
pub(crate) struct RecentlyUsed<K: Hash + Eq, V> {
    entries: LruCache<K, Entry<V>>,
    capacity: usize,
    /// Counts lookups and insertions.
    uses: u64,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    /// At which use it was at the front.
    front_at: u64,
}

impl<K: Hash + Eq, V: Clone> RecentlyUsed<K, V> {
    /// Nothing is allocated before it is needed.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: LruCache::unbounded(),
            capacity,
            uses: 0,
        }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        self.uses += 1;
        let entry = self.entries.peek_mut(key)?;
        let value = entry.value.clone();
        if self.uses - entry.front_at > (self.capacity / LAZINESS) as u64 {
            entry.front_at = self.uses;
            self.entries.promote(key);
        }
        Some(value)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        self.uses += 1;
        let front_at = self.uses;
        self.entries.put(key, Entry { value, front_at });
        if self.entries.len() > self.capacity {
            self.entries.pop_lru();
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn remove(&mut self, key: &K) {
        self.entries.pop(key);
    }

    #[cfg(feature = "redis")]
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    #[cfg(feature = "redis")]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut held = RecentlyUsed::new(8);
        for number in 0..100 {
            held.put(number, ());
            assert!(held.get(&0).is_some(), "used all the time: gone after {number}");
        }
        let held: Vec<_> = held.iter().map(|(number, ())| *number).collect();
        assert_eq!(held.len(), 8);
        assert!((94..100).all(|number| held.contains(&number)), "{held:?}");
    }

    #[test]
    fn what_was_used_survives_three_quarters_of_the_capacity() {
        for idle in 0..8 {
            let mut held = RecentlyUsed::new(8);
            held.put(0, ());
            for other in 1..=idle {
                held.put(other, ());
            }
            let used = held.get(&0).is_some();
            for other in 100..106 {
                held.put(other, ());
            }
            assert!(used && held.get(&0).is_some(), "after {idle} others");
        }
    }

    #[test]
    fn without_room_nothing_is_held() {
        let mut held = RecentlyUsed::new(0);
        held.put(1, ());
        assert_eq!(held.get(&1), None);
    }
}
