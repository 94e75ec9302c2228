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
    fn of_a_few_the_least_recently_used_goes() {
        for used in 0..8 {
            let mut held = RecentlyUsed::new(8);
            (0..8).for_each(|number| held.put(number, ()));
            assert!(held.get(&used).is_some());
            held.put(8, ());
            let oldest = usize::from(used == 0);
            let left: Vec<_> = (0..9).filter(|number| *number != oldest).collect();
            let mut held: Vec<_> = held.iter().map(|(number, ())| *number).collect();
            held.sort_unstable();
            assert_eq!(held, left, "{used} was used");
        }
    }

    #[test]
    fn of_many_those_in_use_stay() {
        const CAPACITY: usize = 1_000;
        const IN_USE: usize = 100;
        let mut held = RecentlyUsed::new(CAPACITY);
        (0..IN_USE).for_each(|number| held.put(number, ()));
        for number in IN_USE..10 * CAPACITY {
            held.put(number, ());
            assert!(held.get(&(number % IN_USE)).is_some(), "gone after {number}");
        }
        assert_eq!(held.iter().count(), CAPACITY);
        let recent = 9 * CAPACITY + CAPACITY / 2;
        let kept = (recent..10 * CAPACITY).filter(|number| held.get(number).is_some());
        assert!(
            kept.count() > 9 * CAPACITY / 20,
            "of the last half, more than nine in ten"
        );
    }

    #[test]
    fn without_room_nothing_is_held() {
        let mut held = RecentlyUsed::new(0);
        held.put(1, ());
        assert_eq!(held.get(&1), None);
    }
}
