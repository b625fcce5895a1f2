//! A batcher that has its first batch already, so that a state is gone on from without sorting it again.

use differential_dataflow::batcher::{self, Extract};
use differential_dataflow::trace::implementations::spine_fueled::Merger;
use timely::progress::frontier::{Antichain, AntichainRef};

use super::batch::{Batch, Batcher, Merging};
use super::trace::Id;

/// Gives what was there at time 0 with the first that it extracts. There must be something inserted at time 0,
/// if only a change of nothing: what is not told of is not asked for.
pub struct Beginning<K: Id, V: Id> {
    first: Option<Batch<K, V>>,
    later: Batcher<K, V>,
}

impl<K: Id, V: Id> Beginning<K, V> {
    /// With all that there was at time 0.
    pub fn new(first: Option<Batch<K, V>>, later: Batcher<K, V>) -> Self {
        Beginning { first, later }
    }
}

impl<K: Id, V: Id> batcher::Batcher<Vec<((K, V), u64, i32)>> for Beginning<K, V> {
    fn insert(&mut self, container: &mut Vec<((K, V), u64, i32)>) {
        self.later.insert(container);
    }
}

impl<K: Id, V: Id> Extract for Beginning<K, V> {
    type Time = u64;
    type Output = Batch<K, V>;

    fn extract<'a>(
        &'a mut self,
        upper: AntichainRef<'_, u64>,
    ) -> (Option<Batch<K, V>>, AntichainRef<'a, u64>) {
        let (later, held) = self.later.extract(upper);
        let later = later.map(Batch::from);
        let first = if upper.less_equal(&0) { None } else { self.first.take() };
        let batch = match (first, later) {
            (Some(first), Some(later)) => {
                let (since, mut fuel) = (Antichain::from_elem(0), isize::MAX);
                let mut merging = Merging::new(&first, &later, since.borrow());
                merging.work(&first, &later, &mut fuel);
                merging.done()
            }
            (first, later) => first.or(later),
        };
        (batch, held)
    }
}

#[cfg(test)]
mod tests {
    use differential_dataflow::batcher::Batcher as _;

    use super::*;
    use crate::ids::{PlaylistId, TrackId};

    type Update = ((TrackId, PlaylistId), u64, i32);

    fn beginning(later: Vec<Update>) -> Beginning<TrackId, PlaylistId> {
        let playlists = [1, 2, 7].map(PlaylistId).to_vec();
        let first = Batch::of_sets(vec![TrackId(3), TrackId(5)], [0, 1, 3], playlists);
        let mut beginning = Beginning::new(first, Batcher::new(None, 0));
        beginning.insert(&mut vec![((TrackId(0), PlaylistId(0)), 0, 0)]);
        later.into_iter().for_each(|update| beginning.insert(&mut vec![update]));
        beginning
    }

    fn extracted(beginning: &mut Beginning<TrackId, PlaylistId>, upper: u64) -> Vec<Update> {
        let mut all = Vec::new();
        let (batch, _) = beginning.extract(Antichain::from_elem(upper).borrow());
        batch.iter().for_each(|b| b.scan(|key, value, time, diff| all.push(((key, value), time, diff))));
        all
    }

    #[test]
    fn the_first_batch_comes_once_alone_or_with_what_came_later() {
        let all = [(3, 1, 0, 1), (5, 2, 0, 1), (5, 7, 0, 1)];
        let later = [(4, 9, 8, 1), (5, 2, 8, -1)];
        let update = |(track, playlist, time, diff)| ((TrackId(track), PlaylistId(playlist)), time, diff);
        let (all, later) = (all.map(update), later.map(update));

        let mut apart = beginning(later.to_vec());
        assert_eq!(extracted(&mut apart, 0), []);
        assert_eq!(extracted(&mut apart, 1), all);
        assert_eq!(extracted(&mut apart, 9), later);

        let mut expected = [&all[..], &later].concat();
        expected.sort_unstable();
        let mut together = beginning(later.to_vec());
        assert_eq!(extracted(&mut together, 9), expected);
        assert_eq!(extracted(&mut together, 10), []);
    }
}
