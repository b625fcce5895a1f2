//! A hash map in parts: a look at one part, or its growth, takes a small share of the time that all of it would.

use std::hash::{BuildHasher, Hash};

use rustc_hash::{FxBuildHasher, FxHashMap};

/// How many parts there are.
pub const PARTS: usize = 256;

/// Values by key.
pub struct Parts<K, V>(Box<[FxHashMap<K, V>]>);

impl<K, V> Default for Parts<K, V> {
    fn default() -> Self {
        Parts((0..PARTS).map(|_| FxHashMap::default()).collect())
    }
}

impl<K: Hash + Eq, V> Parts<K, V> {
    /// Within a part, the map goes by the lowest bits of the same hash, and by the highest: these are neither.
    fn of(key: &K) -> usize {
        (FxBuildHasher.hash_one(key) >> 40) as usize % PARTS
    }

    /// The part with this number, below [`PARTS`].
    pub fn part(&self, number: usize) -> &FxHashMap<K, V> {
        &self.0[number]
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0[Self::of(key)].get(key)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0[Self::of(key)].get_mut(key)
    }

    /// Sets the value of a key, or with none removes it; gives the one before.
    pub fn set(&mut self, key: K, value: Option<V>) -> Option<V> {
        let part = &mut self.0[Self::of(&key)];
        match value {
            Some(value) => part.insert(key, value),
            None => part.remove(&key),
        }
    }

    /// How many keys there are.
    pub fn size(&self) -> usize {
        self.0.iter().map(FxHashMap::len).sum()
    }

    /// All keys and values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TrackId;

    #[test]
    fn keys_are_spread_evenly_and_found_again() {
        let mut parts = Parts::default();
        let tracks = |number: u64| TrackId::of(&format!("track {number}"));
        for number in 0..256_000 {
            assert_eq!(parts.set(tracks(number), Some(number)), None);
        }
        let sizes: Vec<usize> = (0..PARTS).map(|part| parts.part(part).len()).collect();
        assert!(sizes.iter().all(|size| (850..1150).contains(size)), "{sizes:?}");
        assert_eq!((parts.size(), parts.iter().count()), (256_000, 256_000));
        assert_eq!(parts.get(&tracks(7)), Some(&7));
        parts.get_mut(&tracks(7)).into_iter().for_each(|value| *value = 8);
        assert_eq!(
            (parts.set(tracks(7), None), parts.get(&tracks(7)), parts.size()),
            (Some(8), None, 255_999)
        );
    }
}
