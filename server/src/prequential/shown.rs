//! How many different tracks were shown, in bounded memory.
//!
//! Hashed ids are uniform random numbers, so those up to a limit are a fair sample of all: the limit is halved
//! whenever there are too many of them, and what is left stands for the others.

use std::collections::BTreeSet;

use segue_dataflow::ids::TrackId;
use segue_dataflow::sample;

/// Ids that are kept at the most. With half as many at least, the number is right to about 1.6 %.
const KEPT_MAX: usize = 8192;

/// Different tracks.
#[derive(Debug, Default)]
pub struct Shown {
    kept: BTreeSet<TrackId>,
    /// How often the limit was halved.
    level: u32,
}

impl Shown {
    /// One more; again, perhaps.
    pub fn add(&mut self, track: TrackId) {
        if track.0 > sample::last(self.level) {
            return;
        }
        self.kept.insert(track);
        while self.kept.len() > KEPT_MAX {
            self.level += 1;
            self.kept.split_off(&TrackId(sample::last(self.level).saturating_add(1)));
        }
    }

    /// How many there are, about; exactly, as long as they are few.
    pub fn count(&self) -> u64 {
        (self.kept.len() as u64) << self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_counted_exactly_and_many_well() {
        let mut shown = Shown::default();
        let track = |n: u32| TrackId::of(&format!("t:{n}"));
        for _ in 0..3 {
            (0..8_000).for_each(|n| shown.add(track(n)));
        }
        assert_eq!(shown.count(), 8_000);
        (0..500_000).for_each(|n| shown.add(track(n)));
        assert!(shown.kept.len() <= KEPT_MAX);
        assert!((485_000..515_000).contains(&shown.count()), "{}", shown.count());
    }
}
