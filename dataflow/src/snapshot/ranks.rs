//! Places of ids in a sorted list of them: one look, since hashed ids are spread evenly.

use crate::ids::TrackId;

/// Sorted ids, with the place at which those begin that share their highest bits.
#[derive(Default)]
pub struct Ranks {
    ids: Vec<TrackId>,
    /// By highest bits of an id; one more at the end.
    begins: Vec<u32>,
    /// What is left of an id are its highest bits.
    shift: u32,
}

impl Ranks {
    /// Of these ids, in any order, each once or more often.
    pub fn new(mut ids: Vec<TrackId>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        // About one id to each begin. Ids are as many as tracks, so places fit 32 bits.
        let bits = ids.len().max(2).ilog2();
        let shift = u64::BITS - bits;
        let mut begins = vec![0; (1 << bits) + 1];
        ids.iter().for_each(|id| begins[(id.0 >> shift) as usize + 1] += 1);
        (1..begins.len()).for_each(|i| begins[i] += begins[i - 1]);
        Ranks { ids, begins, shift }
    }

    /// The ids, ascending.
    pub fn ids(&self) -> &[TrackId] {
        &self.ids
    }

    /// The place of an id; none if it is not there.
    pub fn of(&self, id: TrackId) -> Option<usize> {
        let high = (id.0 >> self.shift) as usize;
        let (from, to) = (self.begins[high] as usize, self.begins[high + 1] as usize);
        self.ids[from..to].iter().position(|other| *other == id).map(|place| from + place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_its_place_and_others_have_none() {
        for count in [0, 1, 2, 3, 1000] {
            let ids = (0..count).map(|n| TrackId::of(&format!("track {n}")));
            let ids = ids.chain([0, u64::MAX].map(TrackId).into_iter().take(count)).collect();
            let ranks = Ranks::new(ids);
            assert!(ranks.ids().is_sorted_by(|a, b| a < b));
            for (place, id) in ranks.ids().iter().enumerate() {
                assert_eq!(ranks.of(*id), Some(place));
            }
            assert_eq!(ranks.of(TrackId::of("another")), None);
        }
    }
}
