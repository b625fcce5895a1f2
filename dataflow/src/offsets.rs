//! Which part of the log an answer includes: what worker 0 fed by which epoch, remembered while any worker
//! may still answer as-of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Shared by all workers. Worker 0 notes an epoch before it closes it, so whoever sees it complete finds it.
pub(crate) struct Offsets {
    /// Epochs in order, each with the next offsets, by partition, once all that was fed in it is included.
    fed: Mutex<VecDeque<(u64, Vec<u64>)>>,
    /// By worker, the earliest epoch as-of which it may still answer.
    floors: Vec<AtomicU64>,
}

impl Offsets {
    /// For so many workers, before anything is fed.
    pub(crate) fn new(workers: usize) -> Self {
        let floors = (0..workers).map(|_| AtomicU64::new(0)).collect();
        Offsets { fed: Mutex::new([(0, Vec::new())].into()), floors }
    }

    /// What is fed in `epoch` or before leads on to `next`. Forgets what nobody can ask for any more.
    pub(crate) fn fed(&self, epoch: u64, next: &[u64]) {
        let floor = self.floors.iter().map(|floor| floor.load(Ordering::Relaxed)).min().unwrap_or(0);
        let mut fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        if fed.back().is_none_or(|(_, newest)| newest != next) {
            fed.push_back((epoch, next.to_vec()));
        }
        while fed.get(1).is_some_and(|(second, _)| *second <= floor) {
            fed.pop_front();
        }
    }

    /// `worker` will not answer as-of an epoch before `floor` any more.
    pub(crate) fn hold(&self, worker: usize, floor: u64) {
        self.floors[worker].store(floor, Ordering::Relaxed);
    }

    /// By partition, the first offset that answers as-of `epoch` do not include.
    pub(crate) fn as_of(&self, epoch: u64) -> Vec<u64> {
        let fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        let after = fed.partition_point(|(there, _)| *there <= epoch);
        after.checked_sub(1).map(|newest| fed[newest].1.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_includes_what_was_fed_by_then_and_is_forgotten_when_nobody_can_ask() {
        let offsets = Offsets::new(2);
        for (epoch, next) in [(10, [1]), (20, [2]), (25, [2]), (30, [3])] {
            offsets.fed(epoch, &next);
        }
        let as_of = |epoch| offsets.as_of(epoch);
        assert_eq!(
            [9, 10, 19, 20, 29, 30, 99].map(as_of),
            [vec![], vec![1], vec![1], vec![2], vec![2], vec![3], vec![3]]
        );
        offsets.hold(0, 35);
        offsets.fed(40, &[4]);
        assert_eq!(as_of(10), [1], "worker 1 may still ask");
        offsets.hold(1, 21);
        offsets.fed(50, &[5]);
        assert_eq!((as_of(21), as_of(50), offsets.fed.lock().expect("whole").len()), (vec![2], vec![5], 4));
    }
}
