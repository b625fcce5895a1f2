//! A book: one value a key, as-of any epoch that is still held.
//!
//! It stores the newest values, and for each recent epoch the values it replaced. Reading as-of an
//! earlier epoch therefore looks through the few epochs since; reading the newest is one hash lookup.

use std::collections::BTreeMap;
use std::hash::Hash;

use rustc_hash::{FxHashMap, FxHashSet};

/// Values by key. Written in epoch order.
pub struct Book<K, V> {
    now: FxHashMap<K, V>,
    /// What each epoch replaced: the value before it, none where there was none.
    undo: BTreeMap<u64, FxHashMap<K, Option<V>>>,
    since: u64,
}

impl<K, V> Default for Book<K, V> {
    fn default() -> Self {
        Book { now: FxHashMap::default(), undo: BTreeMap::new(), since: 0 }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Book<K, V> {
    /// The value as of the newest epoch written.
    pub fn newest(&self, key: &K) -> Option<&V> {
        self.now.get(key)
    }

    /// The newest value, to be changed in a way that no reader sees.
    pub fn newest_mut(&mut self, key: &K) -> Option<&mut V> {
        self.now.get_mut(key)
    }

    /// Every value that some held epoch has.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.now.values().chain(self.undo.values().flat_map(|old| old.values().flatten()))
    }

    /// Sets the value of `key` from `epoch` on; none removes it. Epochs come in order.
    pub fn set(&mut self, epoch: u64, key: K, value: Option<V>) {
        let before = match value {
            Some(value) => self.now.insert(key.clone(), value),
            None => self.now.remove(&key),
        };
        if epoch > self.since {
            self.undo.entry(epoch).or_default().entry(key).or_insert(before);
        }
    }

    /// The value as-of `epoch`, which must not lie before what is still held.
    pub fn get(&self, key: &K, epoch: u64) -> Option<&V> {
        debug_assert!(epoch >= self.since, "read as-of {epoch}, held from {}", self.since);
        if self.undo.last_key_value().is_none_or(|(newest, _)| *newest <= epoch) {
            return self.now.get(key);
        }
        let replaced = self.undo.range(epoch + 1..).find_map(|(_, old)| old.get(key));
        replaced.map_or_else(|| self.now.get(key), Option::as_ref)
    }

    /// Every key whose value changed after `epoch`.
    pub fn changed_since(&self, epoch: u64) -> impl Iterator<Item = &K> {
        self.undo.range(epoch + 1..).flat_map(|(_, old)| old.keys())
    }

    /// All newest values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.now.iter()
    }

    /// How many keys have a value as-of `epoch`.
    pub fn len(&self, epoch: u64) -> usize {
        let changed: FxHashSet<&K> = self.changed_since(epoch).collect();
        let now = changed.iter().filter(|key| self.now.contains_key(key)).count();
        let then = changed.iter().filter(|key| self.get(key, epoch).is_some()).count();
        self.now.len() + then - now
    }

    /// Promises to read only as-of `since` or later.
    pub fn forget_before(&mut self, since: u64) {
        if since > self.since {
            self.since = since;
            self.undo = self.undo.split_off(&(since + 1));
        }
    }

    /// Epochs that can still be told apart: few, if all readers keep their promises moving.
    pub fn epochs(&self) -> usize {
        self.undo.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_held_epoch_is_readable() {
        let mut book = Book::default();
        book.set(1, "a", Some(1));
        book.set(3, "a", Some(2));
        book.set(3, "b", Some(7));
        book.set(3, "a", Some(3));
        book.set(5, "a", None);
        let seen = |book: &Book<_, _>| [0, 1, 2, 3, 4, 5].map(|e| book.get(&"a", e).copied());
        assert_eq!(seen(&book), [None, Some(1), Some(1), Some(3), Some(3), None]);
        assert_eq!((book.get(&"b", 2), book.get(&"b", 3)), (None, Some(&7)));
        book.forget_before(4);
        assert_eq!(book.get(&"a", 4), Some(&3));
        assert_eq!(book.get(&"a", 5), None);
        assert_eq!((book.epochs(), book.len(4), book.len(5)), (1, 2, 1));
    }
}
