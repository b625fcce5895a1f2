//! Reading an arrangement as-of one epoch, straight from the storage of its batches.
//!
//! It reads *all* batches and filters by time: cutting them at an epoch is impossible in general, because
//! one batch may cover several. Keys are looked up in one forward pass over each batch, or the batch's keys among them
//! if these are fewer.

use std::sync::Arc;

use differential_dataflow::ExchangeData;
use differential_dataflow::operators::arrange::TraceAgent;
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::implementations::spine_fueled;
use smallvec::SmallVec;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::batch::Batch;
use super::seek::{seek, shared};
use crate::fetch::{AT_ONCE, fetch};

/// A collection of (K, V) pairs, kept by differential as a few sorted batches.
pub type Spine<K, V> = spine_fueled::Spine<Batch<K, V>>;

/// An id that can be a key or a value of an arrangement: a hash.
pub trait Id: ExchangeData + Copy + Ord + std::hash::Hash + Into<u64> {}
impl<T: ExchangeData + Copy + Ord + std::hash::Hash + Into<u64>> Id for T {}

/// Which keys a batch may have: those that are `worker` modulo `workers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    worker: u64,
    workers: u64,
}

impl Keys {
    /// Any.
    pub const ALL: Keys = Keys { worker: 0, workers: 1 };

    /// Those that live with this one of so many workers.
    pub fn of(worker: u64, workers: u64) -> Self {
        Keys { worker, workers }
    }

    fn has(self, key: impl Into<u64>) -> bool {
        self.workers == 1 || key.into() % self.workers == self.worker
    }
}

/// One batch, and what makes it cheap to read: `newest` is its latest update time, `plain` says that it
/// holds insertions only. Equal neighbouring (time, diff) pairs are stored once, so both come from a very
/// short list even in a batch of millions.
#[derive(Clone)]
struct Part<K: Id, V: Id> {
    batch: Batch<K, V>,
    keys: Keys,
    newest: u64,
    plain: bool,
}

impl<K: Id, V: Id> Part<K, V> {
    fn new(batch: Batch<K, V>, keys: Keys) -> Self {
        let upds = &batch.storage.upds;
        let newest = upds.times.iter().copied().max().unwrap_or(0);
        let plain = upds.diffs.iter().all(|diff| *diff == 1);
        Part { batch, keys, newest, plain }
    }

    fn is_plain(&self, as_of: u64) -> bool {
        self.plain && self.newest <= as_of
    }

    /// The multiplicity that this batch gives to the value at `index`, counting times up to `as_of`.
    fn diff(&self, index: usize, as_of: u64) -> i32 {
        if self.is_plain(as_of) {
            return 1;
        }
        let upds = &self.batch.storage.upds;
        let (lo, hi) = upds.bounds(index); // `bounds` undoes the elision of runs; the raw offsets do not
        (lo..hi).filter(|&i| upds.times[i] <= as_of).map(|i| upds.diffs[i]).sum()
    }

    /// Where the values of `key` lie, found from position `at` on, which moves there.
    fn values(&self, at: &mut usize, key: &K) -> (usize, usize) {
        if !self.keys.has(*key) {
            return (0, 0);
        }
        let storage = &self.batch.storage;
        *at = seek(&storage.keys, *at, key);
        if storage.keys.get(*at) == Some(key) { storage.vals.bounds(*at) } else { (0, 0) }
    }
}

/// An arrangement as the worker that keeps it follows it.
pub struct Trace<K: Id, V: Id> {
    agent: TraceAgent<Spine<K, V>>,
    keys: Keys,
    view: View<K, V>,
}

impl<K: Id, V: Id> Trace<K, V> {
    /// Follows an arrangement that may have these keys, and never stands in the way of merging.
    pub fn new(mut agent: TraceAgent<Spine<K, V>>, keys: Keys) -> Self {
        agent.set_physical_compaction(AntichainRef::new(&[]));
        Trace { agent, keys, view: View::default() }
    }

    /// Promises to read only as-of `since` or later.
    pub fn hold(&mut self, since: u64) {
        self.agent.set_logical_compaction(AntichainRef::new(&[since]));
    }

    /// Takes the present batches, keeping what is known of the old ones.
    pub fn refresh(&mut self) {
        let Some(batches) = self.agent.batches_through(Antichain::new().borrow()) else { return };
        let (old, keys) = (&self.view.parts, self.keys);
        let known = |batch: &Batch<K, V>| old.iter().find(|part| part.batch.is(batch)).cloned();
        let parts = batches.into_iter().map(|batch| known(&batch).unwrap_or_else(|| Part::new(batch, keys)));
        self.view = View { parts: parts.collect() };
    }

    /// What was there at the last [`Trace::refresh`].
    pub fn view(&self) -> &View<K, V> {
        &self.view
    }
}

/// The batches that an arrangement had at some moment, of a collection in which each pair is there once or
/// not at all. Any thread can read it; cloning it is cheap.
#[derive(Clone)]
pub struct View<K: Id, V: Id> {
    parts: Arc<[Part<K, V>]>,
}

impl<K: Id, V: Id> Default for View<K, V> {
    fn default() -> Self {
        View { parts: Arc::new([]) }
    }
}

impl<'a, K: Id, V: Id> FromIterator<&'a Batch<K, V>> for View<K, V> {
    fn from_iter<I: IntoIterator<Item = &'a Batch<K, V>>>(batches: I) -> Self {
        View { parts: batches.into_iter().map(|batch| Part::new(batch.clone(), Keys::ALL)).collect() }
    }
}

impl<K: Id, V: Id> View<K, V> {
    /// Collections that have no pair in common, as one.
    pub fn of_all<'a>(all: impl Iterator<Item = &'a View<K, V>>) -> Self {
        View { parts: all.flat_map(|view| view.parts.iter().cloned()).collect() }
    }

    /// How many batches there are, and how many update times they store.
    pub fn batches(&self) -> (usize, usize) {
        (self.parts.len(), self.parts.iter().map(|part| part.batch.storage.upds.times.len()).sum())
    }

    /// The values of `key`, ascending.
    pub fn values(&self, key: K, as_of: u64) -> Vec<V> {
        let mut values = Vec::new();
        self.pass().read(key, as_of, |value| values.push(value));
        values
    }

    /// A forward reading position; its keys must be asked for in ascending order.
    pub fn pass(&self) -> Pass<'_, K, V> {
        Pass { view: self, at: vec![0; self.parts.len()], heads: Vec::new() }
    }

    /// How many values two keys have in common, up to `last`. Bilinear, so batch by batch without any merge.
    pub fn common(&self, one: K, other: K, last: V, as_of: u64) -> i32 {
        let slices = |key: K| {
            let parts = self.parts.iter().map(move |part| {
                let (lo, hi) = part.values(&mut 0, &key);
                let length = part.batch.storage.vals.vals[lo..hi].partition_point(|value| *value <= last);
                (part, lo, lo + length)
            });
            parts.filter(|(_, lo, hi)| lo < hi).collect::<SmallVec<[_; 16]>>()
        };
        let (ours, theirs) = (slices(one), slices(other));
        let mut sum = 0;
        for (one, from, to) in &ours {
            for (other, begin, end) in &theirs {
                let (ours, theirs) = (&one.batch.storage.vals.vals, &other.batch.storage.vals.vals);
                shared(&ours[*from..*to], &theirs[*begin..*end], |i, j| {
                    sum += one.diff(from + i, as_of) * other.diff(begin + j, as_of);
                });
            }
        }
        sum
    }

    /// Which of these values, ascending, `key` has: all updates of them, each with the value's place, in no useful
    /// order.
    pub fn among(&self, key: K, values: &[V], as_of: u64, mut each: impl FnMut(usize, i32)) {
        for part in &*self.parts {
            let (lo, hi) = part.values(&mut 0, &key);
            let there = &part.batch.storage.vals.vals[lo..hi];
            shared(there, values, |at, i| each(i, part.diff(lo + at, as_of)));
        }
    }

    /// Finds ascending keys, each with its values up to the `last` one of the key in this place.
    pub fn find(&self, keys: &[K], last: impl Fn(usize) -> V) -> Finds<'_, K, V> {
        let mut finds = Vec::with_capacity(keys.len());
        for parts in self.parts.chunk_by(|one, other| one.keys == other.keys) {
            let own = keys.iter().enumerate().filter(|(_, key)| parts[0].keys.has(**key));
            let (places, own): (Vec<usize>, Vec<K>) = own.map(|(place, key)| (place, *key)).unzip();
            for part in parts {
                let storage = &part.batch.storage;
                shared(&own, &storage.keys, |i, at| {
                    let ((lo, mut hi), last) = (storage.vals.bounds(at), last(places[i]));
                    if storage.vals.vals[hi - 1] > last {
                        hi = lo + storage.vals.vals[lo..hi].partition_point(|value| *value <= last);
                    }
                    if lo < hi {
                        finds.push((part, places[i], lo, hi));
                    }
                });
            }
        }
        Finds(finds)
    }
}

/// Where the values of some keys are, to be read as often as one likes: to find them takes longer.
pub struct Finds<'a, K: Id, V: Id>(Vec<(&'a Part<K, V>, usize, usize, usize)>);

impl<K: Id, V: Id> Finds<'_, K, V> {
    /// All their updates, in no useful order: (index of the key, value, diff). Right for sums, and only for them: a
    /// removal in a small batch cancels the insertion in a large one without any merge.
    pub fn updates(&self, as_of: u64, mut each: impl FnMut(usize, V, i32)) {
        for some in self.0.chunks(AT_ONCE) {
            fetch(some.iter().map(|(part, _, lo, hi)| &part.batch.storage.vals.vals[*lo..*hi]));
            for (part, i, lo, hi) in some {
                let values = (*lo..*hi).zip(&part.batch.storage.vals.vals[*lo..*hi]);
                if part.is_plain(as_of) {
                    values.for_each(|(_, value)| each(*i, *value, 1));
                } else {
                    for (j, value) in values {
                        match part.diff(j, as_of) {
                            0 => {}
                            diff => each(*i, *value, diff),
                        }
                    }
                }
            }
        }
    }
}

/// A forward reading position in every batch.
pub struct Pass<'a, K: Id, V: Id> {
    view: &'a View<K, V>,
    at: Vec<usize>,
    /// Part, next value, end.
    heads: Vec<(usize, usize, usize)>,
}

impl<K: Id, V: Id> Pass<'_, K, V> {
    /// Hands each value of `key` to `each`, ascending: those whose diffs have a positive sum.
    pub fn read(&mut self, key: K, as_of: u64, mut each: impl FnMut(V)) {
        self.read_while(key, as_of, |value| {
            each(value);
            true
        });
    }

    /// The same, as long as `each` wants more.
    pub fn read_while(&mut self, key: K, as_of: u64, mut each: impl FnMut(V) -> bool) {
        self.heads.clear();
        for (p, part) in self.view.parts.iter().enumerate() {
            let (lo, hi) = part.values(&mut self.at[p], &key);
            if lo < hi {
                self.heads.push((p, lo, hi));
            }
        }
        let parts = &self.view.parts;
        let value = |head: &(usize, usize, usize)| parts[head.0].batch.storage.vals.vals[head.1];
        if let [(p, lo, hi)] = self.heads[..]
            && parts[p].is_plain(as_of)
        {
            parts[p].batch.storage.vals.vals[lo..hi].iter().all(|v| each(*v));
            return;
        }
        while let Some(least) = self.heads.iter().map(value).min() {
            let mut sum = 0;
            for head in self.heads.iter_mut().filter(|head| value(head) == least) {
                sum += parts[head.0].diff(head.1, as_of);
                head.1 += 1;
            }
            self.heads.retain(|head| head.1 < head.2);
            if sum > 0 && !each(least) {
                return;
            }
        }
    }
}
