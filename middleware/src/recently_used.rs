//! A bounded map that forgets what has not been used for a long time.

use std::hash::Hash;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

/// Number of sampled entries per eviction. The least recently used of them is evicted.
///
/// A linked list would find the least recently used entry of the whole map. Each lookup would then follow pointers that are
/// rarely in the processor's caches.
const SAMPLES: usize = 16;

/// A map of bounded size with approximate eviction of the least recently used entry.
#[derive(Clone)]
pub(crate) struct RecentlyUsed<K, V> {
    entries: IndexMap<K, Entry<V>, RandomState>,
    capacity: usize,
    /// Number of lookups and insertions: the logical time of `used_at`.
    uses: u64,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    used_at: u64,
}

impl<K: Hash + Eq, V: Clone> RecentlyUsed<K, V> {
    /// Creates an empty map. It allocates on insertion only.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: IndexMap::default(),
            capacity,
            uses: 0,
        }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        self.uses += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used_at = self.uses;
        Some(entry.value.clone())
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        self.uses += 1;
        let used_at = self.uses;
        self.entries.insert(key, Entry { value, used_at });
        if self.entries.len() > self.capacity {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let count = self.entries.len();
        // A different start for each eviction, by Fibonacci hashing.
        let first = (self.uses.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % count;
        let samples = SAMPLES.min(count);
        let oldest = (0..samples)
            .map(|sample| (first + sample * count / samples) % count)
            .min_by_key(|&index| self.entries.get_index(index).map(|(_, entry)| entry.used_at));
        if let Some(index) = oldest {
            self.entries.swap_remove_index(index);
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) fn remove(&mut self, key: &K) {
        self.entries.swap_remove(key);
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
    fn a_small_map_evicts_its_least_recently_used_entry() {
        for used in 0..8 {
            let mut held = RecentlyUsed::new(8);
            (0..8).for_each(|number| held.put(number, ()));
            assert!(held.get(&used).is_some());
            held.put(8, ());
            let oldest = usize::from(used == 0);
            let left: Vec<_> = (0..9).filter(|number| *number != oldest).collect();
            let mut held: Vec<_> = held.iter().map(|(number, ())| *number).collect();
            held.sort_unstable();
            assert_eq!(held, left, "{used} was used last");
        }
    }

    #[test]
    fn a_large_map_keeps_the_entries_in_use() {
        const CAPACITY: usize = 1_000;
        const IN_USE: usize = 100;
        let mut held = RecentlyUsed::new(CAPACITY);
        (0..IN_USE).for_each(|number| held.put(number, ()));
        for number in IN_USE..10 * CAPACITY {
            held.put(number, ());
            assert!(held.get(&(number % IN_USE)).is_some(), "evicted after {number}");
        }
        assert_eq!(held.iter().count(), CAPACITY);
        let recent = 9 * CAPACITY + CAPACITY / 2;
        let kept = (recent..10 * CAPACITY).filter(|number| held.get(number).is_some());
        assert!(
            kept.count() > 9 * CAPACITY / 20,
            "more than nine in ten of the last half"
        );
    }

    #[test]
    fn a_map_of_capacity_0_holds_nothing() {
        let mut held = RecentlyUsed::new(0);
        held.put(1, ());
        assert_eq!(held.get(&1), None);
    }
}
