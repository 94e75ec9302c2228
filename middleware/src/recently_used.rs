//! A bounded map that forgets what has not been used for a long time.

use std::hash::Hash;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

/// Of so many entries, spread over the map, the one that was used the longest ago goes when there is no more room.
///
/// A list in order of use would find the very oldest one. It would also lead each lookup over pointers to places of which few
/// are in the processor's caches when a server has other things to do in between.
const SAMPLES: usize = 16;

/// Room for a number of entries.
#[derive(Clone)]
pub(crate) struct RecentlyUsed<K, V> {
    entries: IndexMap<K, Entry<V>, RandomState>,
    capacity: usize,
    /// Counts lookups and insertions.
    uses: u64,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    used_at: u64,
}

impl<K: Hash + Eq, V: Clone> RecentlyUsed<K, V> {
    /// Nothing is allocated before it is needed.
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
            self.make_room();
        }
    }

    fn make_room(&mut self) {
        let count = self.entries.len();
        // Any place to begin at, but another one each time.
        let first = (self.uses.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % count;
        let samples = SAMPLES.min(count);
        let oldest = (0..samples)
            .map(|sample| (first + sample * count / samples) % count)
            .min_by_key(|&place| self.entries.get_index(place).map(|(_, entry)| entry.used_at));
        if let Some(place) = oldest {
            self.entries.swap_remove_index(place);
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
    fn small_cache_evicts_the_least_recently_used_entry() {
        for used in 0..8 {
            let mut cache = RecentlyUsed::new(8);
            (0..8).for_each(|number| cache.put(number, ()));
            assert!(cache.get(&used).is_some());
            cache.put(8, ());
            let oldest = usize::from(used == 0);
            let expected: Vec<_> = (0..9).filter(|number| *number != oldest).collect();
            let mut kept: Vec<_> = cache.iter().map(|(number, ())| *number).collect();
            kept.sort_unstable();
            assert_eq!(kept, expected, "{used} was used");
        }
    }

    #[test]
    fn large_cache_keeps_the_entries_in_use() {
        const CAPACITY: usize = 1_000;
        const IN_USE: usize = 100;
        let mut cache = RecentlyUsed::new(CAPACITY);
        (0..IN_USE).for_each(|number| cache.put(number, ()));
        for number in IN_USE..10 * CAPACITY {
            cache.put(number, ());
            assert!(cache.get(&(number % IN_USE)).is_some(), "evicted after {number}");
        }
        assert_eq!(cache.iter().count(), CAPACITY);
        let recent = 9 * CAPACITY + CAPACITY / 2;
        let kept = (recent..10 * CAPACITY).filter(|number| cache.get(number).is_some());
        assert!(
            kept.count() > 9 * CAPACITY / 20,
            "more than 90 % of the newest half"
        );
    }

    #[test]
    fn capacity_0_holds_nothing() {
        let mut cache = RecentlyUsed::new(0);
        cache.put(1, ());
        assert_eq!(cache.get(&1), None);
    }
}
