//! The past of a book: what keys had before they changed, for as long as somebody may read as-of then.

use std::collections::VecDeque;
use std::hash::Hash;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Changes for which there is always room.
const ROOM_MIN: usize = 1024;

/// Epochs that changed a key, ascending, each with what it had until then: most often one.
type Before<V> = SmallVec<[(u64, V); 1]>;

/// What keys had, by the epochs after `since` that changed them. Written in epoch order.
pub struct Past<K, V> {
    before: FxHashMap<K, Before<V>>,
    /// What is in `before`, by epoch.
    order: VecDeque<(u64, K)>,
    since: u64,
}

impl<K, V> Default for Past<K, V> {
    fn default() -> Self {
        Past { before: FxHashMap::default(), order: VecDeque::new(), since: 0 }
    }
}

impl<K: Hash + Eq + Clone, V> Past<K, V> {
    /// What `key` had until `epoch`. Only the first of one epoch counts.
    pub fn add(&mut self, epoch: u64, key: K, had: V) {
        if epoch > self.since {
            let before = self.before.entry(key.clone()).or_default();
            if before.last().is_none_or(|(last, _)| *last < epoch) {
                before.push((epoch, had));
                self.order.push_back((epoch, key));
            }
        }
    }

    /// What `key` had as-of `epoch`, which must not lie before what is still held; none if it has not changed since.
    pub fn get(&self, key: &K, epoch: u64) -> Option<&V> {
        debug_assert!(epoch >= self.since, "read as-of {epoch}, held from {}", self.since);
        if self.order.back().is_none_or(|(newest, _)| *newest <= epoch) {
            return None;
        }
        self.before.get(key)?.iter().find(|(at, _)| *at > epoch).map(|(_, had)| had)
    }

    /// All that is held.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.before.values().flatten().map(|(_, had)| had)
    }

    /// Every key that changed after `epoch`, some of them more than once.
    pub fn changed_since(&self, epoch: u64) -> impl Iterator<Item = &K> {
        self.order.iter().rev().take_while(move |(at, _)| *at > epoch).map(|(_, key)| key)
    }

    /// Promises to read only as-of `since` or later.
    pub fn forget_before(&mut self, since: u64) {
        self.since = self.since.max(since);
        let forgotten = self.order.partition_point(|(epoch, _)| *epoch <= since);
        for (_, key) in self.order.drain(..forgotten) {
            if let Some(before) = self.before.get_mut(&key) {
                before.remove(0);
                if before.is_empty() {
                    self.before.remove(&key);
                }
            }
        }
        // What a load had grown is given back.
        let room = 2 * self.order.len() + ROOM_MIN;
        if self.order.capacity() > 4 * room {
            self.order.shrink_to(room);
            self.before.shrink_to(room);
        }
    }

    /// How many changes are held.
    pub fn size(&self) -> usize {
        self.order.len()
    }

    /// Epochs that can still be told apart.
    pub fn epochs(&self) -> usize {
        let mut epochs: Vec<u64> = self.order.iter().map(|(epoch, _)| *epoch).collect();
        epochs.dedup();
        epochs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_after_an_epoch_is_found_as_of_it() {
        let mut past = Past::default();
        past.add(3, 1, "one");
        past.add(5, 2, "two");
        past.add(5, 1, "other");
        past.add(5, 1, "in between");
        let seen = |past: &Past<_, _>, key| [2, 3, 4, 5].map(|epoch| past.get(&key, epoch).copied());
        assert_eq!(seen(&past, 1), [Some("one"), Some("other"), Some("other"), None]);
        assert_eq!((past.size(), past.epochs(), past.changed_since(3).count()), (3, 2, 2));
        past.forget_before(4);
        assert_eq!((past.size(), past.get(&1, 4), past.get(&2, 4)), (2, Some(&"other"), Some(&"two")));
        past.add(4, 3, "before what is held");
        past.forget_before(5);
        assert_eq!((past.size(), past.before.len()), (0, 0));
    }
}
