//! A book: one value a key, as-of any epoch that is still held.
//!
//! It stores the newest values, and of each key that changed of late the values it had before. Reading is
//! one hash lookup, or two where something has changed since the epoch that is read.

use std::hash::Hash;

use rustc_hash::FxHashSet;

use super::parts::Parts;
use super::past::Past;

/// A mark is given up once more than this part of the keys has changed since.
const CHANGED_PART: usize = 4;
/// Changes that are always worth remembering.
const CHANGED_MIN: usize = 1024;

/// Values by key. Written in epoch order.
pub struct Book<K, V> {
    now: Parts<K, V>,
    past: Past<K, Option<V>>,
    changes: Changes<K>,
}

/// Which keys have changed since a mark.
#[derive(Clone, Debug)]
pub enum Changes<K> {
    /// More than is worth remembering, or there is no mark.
    Unknown,
    /// These.
    Keys(FxHashSet<K>),
}

impl<K, V> Default for Book<K, V> {
    fn default() -> Self {
        Book { now: Parts::default(), past: Past::default(), changes: Changes::Unknown }
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

    /// The newest values in one of the [`PARTS`](super::parts::PARTS).
    pub fn values(&self, part: usize) -> impl Iterator<Item = &V> {
        self.now.part(part).values()
    }

    /// Values that were replaced and that some held epoch has.
    pub fn past(&self) -> impl Iterator<Item = &V> {
        self.past.values().flatten()
    }

    /// Every key in one of the [`PARTS`](super::parts::PARTS) that has a value now. With those of
    /// [`changed_since`](Self::changed_since), looked at later than all parts, they are all that have one as-of
    /// a held epoch.
    pub fn keys(&self, part: usize) -> impl Iterator<Item = &K> {
        self.now.part(part).keys()
    }

    /// Sets the value of `key` from `epoch` on; none removes it. Epochs come in order.
    pub fn set(&mut self, epoch: u64, key: K, value: Option<V>) {
        let old = self.now.set(key.clone(), value);
        self.changes.add(&key, self.now.size());
        self.past.add(epoch, key, old);
    }

    /// The value as-of `epoch`, which must not lie before what is still held.
    pub fn get(&self, key: &K, epoch: u64) -> Option<&V> {
        self.past.get(key, epoch).map_or_else(|| self.now.get(key), Option::as_ref)
    }

    /// Every key whose value changed after `epoch`, some of them more than once.
    pub fn changed_since(&self, epoch: u64) -> impl Iterator<Item = &K> {
        self.past.changed_since(epoch)
    }

    /// All newest values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.now.iter()
    }

    /// How many keys have a value as-of `epoch`.
    pub fn len(&self, epoch: u64) -> usize {
        let changed: FxHashSet<&K> = self.changed_since(epoch).collect();
        let now = changed.iter().filter(|key| self.now.get(key).is_some()).count();
        let then = changed.iter().filter(|key| self.get(key, epoch).is_some()).count();
        self.now.size() + then - now
    }

    /// Promises to read only as-of `since` or later.
    pub fn forget_before(&mut self, since: u64) {
        self.past.forget_before(since);
    }

    /// Epochs that can still be told apart: few, if all readers keep their promises moving.
    pub fn epochs(&self) -> usize {
        self.past.epochs()
    }

    /// Makes a mark at `epoch`, and tells what has changed since the one before: all that changed up to
    /// `epoch`, and perhaps some that changed after it.
    pub fn mark(&mut self, epoch: u64) -> Changes<K> {
        let since = Changes::Keys(self.changed_since(epoch).cloned().collect());
        std::mem::replace(&mut self.changes, since)
    }

    /// Takes a mark back: these were the changes that it told.
    pub fn unmark(&mut self, changes: Changes<K>) {
        match (&mut self.changes, changes) {
            (Changes::Keys(since), Changes::Keys(before)) => since.extend(before),
            (since, _) => *since = Changes::Unknown,
        }
    }
}

impl<K: Hash + Eq + Clone> Changes<K> {
    fn add(&mut self, key: &K, of: usize) {
        if let Changes::Keys(keys) = self {
            keys.insert(key.clone());
            if keys.len() > CHANGED_MIN.max(of / CHANGED_PART) {
                *self = Changes::Unknown;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    #[test]
    fn a_mark_tells_what_changed_since_the_one_before() {
        let told = |changes: &Changes<u32>| match changes {
            Changes::Unknown => None,
            Changes::Keys(keys) => Some(keys.iter().copied().collect::<BTreeSet<_>>()),
        };
        let keys = |keys: &[u32]| Some(keys.iter().copied().collect());
        let mut book = Book::default();
        (0..10).for_each(|key| book.set(1, key, Some('a')));
        assert_eq!(told(&book.mark(1)), None);
        book.set(2, 3, Some('b'));
        book.set(3, 4, None);
        // As-of 2, while 3 is there already.
        assert_eq!(told(&book.mark(2)), keys(&[3, 4]));
        book.set(4, 5, Some('c'));
        let changes = book.mark(4);
        assert_eq!(told(&changes), keys(&[4, 5]));
        book.unmark(changes);
        book.set(5, 6, Some('d'));
        assert_eq!(told(&book.mark(5)), keys(&[4, 5, 6]));
        (0..CHANGED_MIN as u32).for_each(|key| book.set(6, key, Some('e')));
        book.set(7, 0, None);
        assert!(matches!(book.mark(7), Changes::Keys(keys) if keys.len() == CHANGED_MIN));
        (0..=CHANGED_MIN as u32).for_each(|key| book.set(8, key, Some('f')));
        assert_eq!(told(&book.mark(8)), None);
    }

    #[test]
    fn marks_that_are_all_taken_back_hold_no_more_than_is_worth_it() {
        let (mut book, mut most) = (Book::default(), 0);
        // No key stays: what changed is ever more, what is there is not.
        for epoch in 0..200_u32 {
            for n in 0..100 {
                book.set(epoch.into(), 100 * epoch + n, Some('a'));
                book.set(epoch.into(), 100 * epoch + n, None);
            }
            book.forget_before(epoch.into());
            let changes = book.mark(epoch.into());
            book.unmark(changes);
            if let Changes::Keys(keys) = &book.changes {
                most = most.max(keys.len());
            }
        }
        assert!(most <= CHANGED_MIN + 100, "{most} keys");
        assert!(matches!(book.mark(200), Changes::Unknown), "the next snapshot is a whole one");
        assert_eq!((book.now.size(), book.past.size()), (0, 0));
    }
}
