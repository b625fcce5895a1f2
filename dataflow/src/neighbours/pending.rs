//! What has changed since the last step, by the multiple of the grid at which it is due. Of more than is worth
//! following only that is kept.

use std::collections::BTreeMap;

/// How many times as much as one step should have may wait.
pub const WAITING_MAX: usize = 64;
/// How many times as much as one step should have it may have: no two workers have the same share.
const STEP_MAX: usize = 4;

/// Changes that wait for a step.
pub struct Pending<T> {
    grid: u64,
    share: usize,
    waiting: usize,
    /// None: too much.
    due: BTreeMap<u64, Option<Vec<T>>>,
}

impl<T> Pending<T> {
    /// Of this worker's share of a burst.
    pub fn new(grid: u64, share: usize) -> Self {
        Pending { grid, share, waiting: 0, due: BTreeMap::new() }
    }

    /// Adds a change of this epoch.
    pub fn add(&mut self, epoch: u64, change: T) {
        if let Some(changes) =
            self.due.entry(epoch.next_multiple_of(self.grid)).or_insert_with(|| Some(Vec::new()))
        {
            changes.push(change);
            self.waiting += 1;
            if changes.len() > self.share {
                self.overflow(epoch);
            } else if self.waiting > WAITING_MAX * self.share {
                self.due.values_mut().for_each(|changes| *changes = None);
                self.waiting = 0;
            }
        }
    }

    /// There is too much in this epoch.
    pub fn overflow(&mut self, epoch: u64) {
        let due = self.due.entry(epoch.next_multiple_of(self.grid)).or_default();
        self.waiting -= due.take().map_or(0, |changes| changes.len());
    }

    /// All changes that are due; none if they are too many.
    pub fn take(&mut self, through: u64) -> Option<Vec<T>> {
        let later = self.due.split_off(&(through + 1));
        let due = std::mem::replace(&mut self.due, later);
        self.waiting = self.due.values().flatten().map(Vec::len).sum();
        let all: Vec<T> = due.into_values().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
        Some(all).filter(|all| all.len() <= STEP_MAX * self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_when_they_are_due_and_too_many_are_only_told() {
        let mut pending = Pending::new(10, 2);
        assert_eq!(pending.take(0), Some(vec![]));
        pending.add(1, 'a');
        pending.add(10, 'b');
        pending.add(11, 'c');
        assert_eq!(pending.take(10), Some(vec!['a', 'b']));
        assert_eq!((pending.take(19), pending.take(20)), (Some(vec![]), Some(vec!['c'])));
        (0..3).for_each(|_| pending.add(25, 'd'));
        pending.add(31, 'e');
        assert_eq!((pending.waiting, pending.take(30), pending.take(40)), (1, None, Some(vec!['e'])));
        pending.overflow(45);
        pending.add(50, 'f');
        assert_eq!(pending.take(60), None);
        (0..9).for_each(|n| pending.add(61 + 5 * n, 'g'));
        assert_eq!(pending.take(110), None, "more than one step may have");
        (0..1_000).for_each(|n| pending.add(200 + 10 * n, 'h'));
        assert!(pending.waiting <= 2 * WAITING_MAX, "{}", pending.waiting);
        assert_eq!(pending.take(20_000), None);
    }
}
