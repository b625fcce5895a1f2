//! A sorted batch of an arrangement, behind a counted pointer that may cross threads.

use std::ops::Deref;
use std::sync::Arc;

use differential_dataflow::batcher::merge::MergeBatcher;
use differential_dataflow::batcher::merge::vec::VecMerger;
use differential_dataflow::trace::ExertionLogic;
use differential_dataflow::trace::implementations::ContainerChunker;
use differential_dataflow::trace::implementations::ord_neu::layers::{Upds, Vals};
use differential_dataflow::trace::implementations::ord_neu::val_batch::OrdValStorage;
use differential_dataflow::trace::implementations::ord_neu::{OrdValBatch, OrdValBuilder};
use differential_dataflow::trace::implementations::spine_fueled::{Merger, SpineBatch};
use timely::WorkerConfig;
use timely::progress::frontier::AntichainRef;

use super::offsets::Offsets;
use super::trace::Id;

/// When to merge without new updates: while what stands beside the largest batch is more than this part
/// of it. After a load all of it becomes one batch, which is the fastest to read and the smallest; later a
/// full merge comes once in many updates, not with every one.
const REST: usize = 16;
/// Updates that are merged at a time; a longer step would keep readers of the worker waiting.
const STEP: usize = 1 << 14;

/// Tells timely's workers when to merge.
pub fn merge_when_idle(config: &mut WorkerConfig) {
    let logic: ExertionLogic = Arc::new(|levels| {
        let largest = levels.iter().map(|(_, _, length)| *length).max().unwrap_or(0);
        let all: usize = levels.iter().map(|(_, _, length)| *length).sum();
        let merging = levels.iter().any(|(_, batches, length)| *batches > 1 && length * REST > all);
        (merging || (all - largest) * REST > largest).then_some(STEP)
    });
    config.set("differential/default_exert_logic".to_owned(), logic);
}

/// An entry of a batch in the making.
type Update<K, V> = ((K, V), u64, i32);
type Layout<K, V> = (Vec<K>, Vec<V>, Vec<u64>, Vec<i32>, Offsets);
type Sorted<K, V> = OrdValBatch<Layout<K, V>>;

/// Makes a batch of updates that come sorted.
pub type Builder<K, V> = OrdValBuilder<Layout<K, V>, Vec<Update<K, V>>>;
/// Sorts updates, and makes batches of them.
pub type Batcher<K, V> =
    MergeBatcher<ContainerChunker<Vec<Update<K, V>>>, VecMerger<(K, V), u64, i32>, Builder<K, V>>;

/// One sorted batch. Differential's own pointer to it, `Rc`, stays on its thread; this one does not.
pub struct Batch<K: Id, V: Id>(Arc<Sorted<K, V>>);

impl<K: Id, V: Id> Batch<K, V> {
    /// Of a set of values for each key, both ascending, all there since time 0. The values of the key at place i
    /// are those from `ends[i]` to `ends[i + 1]`, one at least. None if there are no keys.
    pub fn of_sets(keys: Vec<K>, ends: impl IntoIterator<Item = usize>, vals: Vec<V>) -> Option<Self> {
        let updates = vals.len();
        // Values that have the update before theirs store no more than that: all have the first one's.
        let same = std::iter::once(0).chain(std::iter::repeat_n(1, updates)).collect();
        let vals = Vals { offs: ends.into_iter().collect(), vals };
        let upds = Upds { offs: same, times: vec![0], diffs: vec![1] };
        (updates > 0).then(|| OrdValBatch { storage: OrdValStorage { keys, vals, upds }, updates }.into())
    }

    /// Hands every (key, value, time, diff) to `each`.
    pub fn scan(&self, mut each: impl FnMut(K, V, u64, i32)) {
        let storage = &self.0.storage;
        for (k, key) in storage.keys.iter().enumerate() {
            let (lo, hi) = storage.vals.bounds(k);
            for v in lo..hi {
                let (from, to) = storage.upds.bounds(v);
                for i in from..to {
                    each(*key, storage.vals.vals[v], storage.upds.times[i], storage.upds.diffs[i]);
                }
            }
        }
    }

    /// How many updates it has.
    pub fn updates(&self) -> usize {
        SpineBatch::len(&*self.0)
    }

    /// The epochs of its updates, some of them twice.
    pub fn epochs(&self) -> impl Iterator<Item = u64> {
        self.0.storage.upds.times.iter().copied()
    }

    /// Whether both point to the same batch.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<K: Id, V: Id> Clone for Batch<K, V> {
    fn clone(&self) -> Self {
        Batch(Arc::clone(&self.0))
    }
}

impl<K: Id, V: Id> Deref for Batch<K, V> {
    type Target = Sorted<K, V>;

    fn deref(&self) -> &Sorted<K, V> {
        &self.0
    }
}

impl<K: Id, V: Id> From<Sorted<K, V>> for Batch<K, V> {
    fn from(batch: Sorted<K, V>) -> Self {
        Batch(Arc::new(batch))
    }
}

impl<K: Id, V: Id> SpineBatch for Batch<K, V> {
    type Time = u64;
    type Merger = Merging<K, V>;

    fn len(&self) -> usize {
        SpineBatch::len(&*self.0)
    }
}

/// A merge on its way.
pub struct Merging<K: Id, V: Id>(<Sorted<K, V> as SpineBatch>::Merger);

impl<K: Id, V: Id> Merger<Batch<K, V>> for Merging<K, V> {
    fn new(one: &Batch<K, V>, other: &Batch<K, V>, since: AntichainRef<'_, u64>) -> Self {
        Merging(Merger::new(&*one.0, &*other.0, since))
    }

    fn work(&mut self, one: &Batch<K, V>, other: &Batch<K, V>, fuel: &mut isize) {
        self.0.work(&one.0, &other.0, fuel);
    }

    fn done(self) -> Option<Batch<K, V>> {
        self.0.done().map(Batch::from)
    }
}
