//! Rows that wait to be pushed: each once, the longest-waiting first, so many at the most.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;
use segue_dataflow::ids::TrackId;

/// A row that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Whose row.
    pub track: TrackId,
    /// As-of this epoch the row was as it was pushed before.
    pub through: u64,
}

/// All that wait.
pub struct Pending {
    queue: VecDeque<Waiting>,
    there: FxHashSet<TrackId>,
    most: usize,
    added: u64,
}

impl Pending {
    /// None yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Pending { queue: VecDeque::new(), there: FxHashSet::default(), most: most.max(1), added: 0 }
    }

    /// One more; nothing new if it waits already. Gives the longest-waiting if it had to go for it.
    #[must_use]
    pub fn add(&mut self, waiting: Waiting) -> Option<TrackId> {
        if !self.there.insert(waiting.track) {
            return None;
        }
        self.queue.push_back(waiting);
        self.added += 1;
        if self.queue.len() <= self.most {
            return None;
        }
        let oldest = self.queue.pop_front()?.track;
        self.there.remove(&oldest);
        Some(oldest)
    }

    /// The longest-waiting, in their order.
    pub fn take(&mut self, most: usize) -> Vec<Waiting> {
        let taken: Vec<Waiting> = self.queue.drain(..most.min(self.queue.len())).collect();
        for waiting in &taken {
            self.there.remove(&waiting.track);
        }
        taken
    }

    /// Those that were taken wait on, before all others. One that has come again meanwhile waits twice: the earlier
    /// says since when.
    pub fn put_back(&mut self, taken: impl DoubleEndedIterator<Item = Waiting>) {
        for waiting in taken.rev() {
            self.there.insert(waiting.track);
            self.queue.push_front(waiting);
        }
    }

    /// None waits any more.
    pub fn clear(&mut self) {
        (self.queue, self.there) = Default::default();
    }

    /// How many more may wait.
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.queue.len())
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many ever came; those through [`passed`](Self::passed) do not wait any more.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// How many of those that came do not wait any more.
    pub fn passed(&self) -> u64 {
        self.added.saturating_sub(self.queue.len() as u64)
    }

    /// The longest-waiting.
    pub fn first(&self) -> Option<Waiting> {
        self.queue.front().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(track: u64, through: u64) -> Waiting {
        Waiting { track: TrackId(track), through }
    }

    #[test]
    fn each_waits_once_and_the_oldest_goes_if_there_is_no_room() {
        let mut pending = Pending::new(3);
        let more = [(1, 10), (2, 10), (1, 20), (3, 20)];
        assert!(more.into_iter().all(|(track, through)| pending.add(waiting(track, through)).is_none()));
        assert_eq!((pending.len(), pending.added(), pending.passed()), (3, 3, 0));
        assert_eq!(pending.take(2), [waiting(1, 10), waiting(2, 10)]);
        assert_eq!(pending.add(waiting(1, 30)), None);
        pending.put_back([waiting(1, 10), waiting(2, 10)].into_iter());
        assert_eq!((pending.first(), pending.len()), (Some(waiting(1, 10)), 4));
        assert_eq!((pending.added(), pending.passed()), (4, 0));
        assert_eq!(pending.room(), 0);
        assert_eq!(pending.add(waiting(4, 40)), Some(TrackId(1)));
        assert_eq!(pending.take(9), [waiting(2, 10), waiting(3, 20), waiting(1, 30), waiting(4, 40)]);
        assert_eq!((pending.first(), pending.passed()), (None, 5));
    }
}
