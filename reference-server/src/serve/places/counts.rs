//! Counts of held places, in the order of their size.

use std::collections::{BTreeMap, BTreeSet};

/// The number of held places of each key. Keys without a place are not stored.
#[derive(Debug)]
pub(super) struct Counts<K> {
    counts: BTreeMap<K, usize>,
    by_count: BTreeMap<usize, BTreeSet<K>>,
}

impl<K: Copy + Ord> Counts<K> {
    pub(super) const fn new() -> Self {
        Self {
            counts: BTreeMap::new(),
            by_count: BTreeMap::new(),
        }
    }

    pub(super) fn of(&self, key: K) -> usize {
        self.counts.get(&key).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, key: K) {
        self.change(key, self.of(key) + 1);
    }

    pub(super) fn subtract(&mut self, key: K) {
        self.change(key, self.of(key).saturating_sub(1));
    }

    /// The keys with more places than this, grouped by their count. The largest count is first.
    pub(super) fn above(&self, count: usize) -> impl Iterator<Item = impl Iterator<Item = K>> {
        let larger = self.by_count.range(count + 1..).rev();
        larger.map(|(_, keys)| keys.iter().copied())
    }

    fn change(&mut self, key: K, count: usize) {
        let before = self.counts.remove(&key);
        if let Some(before) = before
            && let Some(keys) = self.by_count.get_mut(&before)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_count.remove(&before);
            }
        }
        if count > 0 {
            self.counts.insert(key, count);
            self.by_count.entry(count).or_default().insert(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn above(counts: &Counts<char>, count: usize) -> Vec<String> {
        counts.above(count).map(Iterator::collect).collect()
    }

    #[test]
    fn keys_are_grouped_by_their_count_and_the_largest_is_first() {
        let mut counts = Counts::new();
        for key in "abcbcc".chars() {
            counts.add(key);
        }
        counts.add('d');
        assert_eq!(above(&counts, 0), ["c", "b", "ad"]);
        assert_eq!(above(&counts, 2), ["c"]);
        counts.subtract('c');
        counts.subtract('d');
        assert_eq!(above(&counts, 0), ["bc", "a"]);
        assert_eq!((counts.of('c'), counts.of('d')), (2, 0));
    }
}
