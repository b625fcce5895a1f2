//! Trending: how many present entries of each track were added on each of the last days, by `at`.
//!
//! Kept by the owner of the track. Days that are older than is kept are dropped: at once where a track is touched,
//! else part by part. What is dropped no reader asks for, so an answer does not depend on when.

use smallvec::SmallVec;

use super::ageing::Ageing;
use super::book::Book;
use crate::day::Day;
use crate::ids::TrackId;

/// Additions by day, ascending.
type Counts = SmallVec<[(Day, u32); 2]>;

/// One unit of [`Growth::score`].
const SCORE_ONE: u32 = 1 << 20;

/// Additions of tracks by day.
#[derive(Default)]
pub struct Trending {
    counts: Book<TrackId, Counts>,
    ageing: Ageing,
}

/// How a track's additions have grown from one window to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Growth {
    /// Additions in the window.
    pub added: u32,
    /// Additions in the window before it.
    pub before: u32,
}

impl Growth {
    /// By how many standard errors it has grown, squared, in units of 2^-20; 0 if it has not. The difference of
    /// two Poisson counts a and b that come from the same rate has variance a + b, so it is (a - b)² / (a + b).
    /// (Przyborowski, Wilenski 1940: Homogeneity of Results in Testing Samples from Poisson Series.) No quotient
    /// of a and b, which puts 1 after 0 before everything: here it is worth 1, and 100 after 50 is worth 16.7.
    pub fn score(self) -> u64 {
        let Growth { added, before } = self;
        let more = u128::from(added.saturating_sub(before));
        let all = u128::from(added) + u128::from(before);
        let score = (more * more * u128::from(SCORE_ONE)).checked_div(all).unwrap_or(0);
        u64::try_from(score).unwrap_or(u64::MAX)
    }

    /// By how many standard errors it has grown.
    pub fn standard_errors(self) -> f64 {
        (self.score() as f64 / f64::from(SCORE_ONE)).sqrt()
    }
}

impl Trending {
    /// `diff` more present entries of `track` that were added on `day`, from `epoch` on.
    pub fn add(&mut self, epoch: u64, track: TrackId, day: Day, diff: i32) {
        if day < self.ageing.first() {
            return;
        }
        let mut counts = self.counts.newest(&track).cloned().unwrap_or_default();
        match counts.binary_search_by_key(&day, |(day, _)| *day) {
            Ok(place) => counts[place].1 = counts[place].1.saturating_add_signed(diff),
            Err(place) => counts.insert(place, (day, 0_u32.saturating_add_signed(diff))),
        }
        self.set(epoch, track, counts);
    }

    /// Days before `first` need not be kept any more. Drops some of them, from `epoch` on.
    pub fn keep_from(&mut self, epoch: u64, first: Day) {
        let Some(part) = self.ageing.next(first) else { return };
        let counts = |track: &TrackId| Some((*track, self.counts.newest(track)?.clone()));
        let is_old = |(_, counts): &(_, Counts)| counts.iter().any(|(day, _)| *day < self.ageing.first());
        let old: Vec<_> = self.counts.keys(part).filter_map(counts).filter(is_old).collect();
        old.into_iter().for_each(|(track, counts)| self.set(epoch, track, counts));
    }

    fn set(&mut self, epoch: u64, track: TrackId, mut counts: Counts) {
        let first = self.ageing.first();
        counts.retain(|(day, count)| *day >= first && *count > 0);
        self.counts.set(epoch, track, (!counts.is_empty()).then_some(counts));
    }

    /// The tracks of one of the [`PARTS`](super::parts::PARTS) that have grown, as-of `epoch`, in the `days` days up to
    /// `newest` over as many before.
    pub fn grown(
        &self,
        part: usize,
        (newest, days): (Day, u16),
        epoch: u64,
    ) -> impl Iterator<Item = (TrackId, Growth)> {
        self.counts.keys(part).filter_map(move |track| self.growth(*track, (newest, days), epoch))
    }

    /// Those that have changed after `epoch`, some of them more than once: looked at after all parts.
    pub fn grown_else(
        &self,
        (newest, days): (Day, u16),
        epoch: u64,
    ) -> impl Iterator<Item = (TrackId, Growth)> {
        let changed = self.counts.changed_since(epoch);
        changed.filter_map(move |track| self.growth(*track, (newest, days), epoch))
    }

    fn growth(&self, track: TrackId, (newest, days): (Day, u16), epoch: u64) -> Option<(TrackId, Growth)> {
        let (begin, before) = (newest.before(days), newest.before(days.saturating_mul(2)));
        let mut growth = Growth::default();
        for (day, count) in self.counts.get(&track, epoch)? {
            if *day > begin && *day <= newest {
                growth.added += count;
            } else if *day > before && *day <= begin {
                growth.before += count;
            }
        }
        (growth.score() > 0).then_some((track, growth))
    }

    /// Promises to read only as-of `since` or later.
    pub fn forget_before(&mut self, since: u64) {
        self.counts.forget_before(since);
    }

    /// Epochs that can still be told apart.
    pub fn epochs(&self) -> usize {
        self.counts.epochs()
    }

    /// How many counts are kept, of any day.
    pub fn size(&self) -> usize {
        self.counts.iter().map(|(_, counts)| counts.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::parts::PARTS;

    #[test]
    fn growth_is_in_standard_errors() {
        for (added, before, expected) in [
            (0, 0, 0.0),
            (0, 5, 0.0),
            (5, 5, 0.0),
            (1, 0, 1.0),
            (10, 0, 3.162_277),
            (100, 50, 4.082_482),
            (1_000, 950, 1.132_277),
            (u32::MAX, 0, 65_535.999),
        ] {
            let found = Growth { added, before }.standard_errors();
            assert!((found - expected).abs() < 1e-3, "{added} after {before}: {found}");
        }
        assert_eq!(Growth { added: u32::MAX, before: u32::MAX - 1 }.score(), 0);
    }

    #[test]
    fn days_are_counted_in_their_window_and_dropped_when_old() {
        let mut trending = Trending::default();
        let all = |trending: &Trending, days, epoch| {
            let mut all: Vec<(u64, u32, u32)> = (0..PARTS)
                .flat_map(|part| trending.grown(part, (Day(100), days), epoch))
                .map(|(track, growth)| (track.0, growth.added, growth.before))
                .collect();
            all.sort_unstable();
            all
        };
        for (track, day, diff) in
            [(1, 100, 3), (1, 97, 1), (2, 94, 2), (2, 93, 1), (2, 101, 9), (3, 93, 7), (4, 87, 4), (5, 99, 5)]
        {
            trending.add(1, TrackId(track), Day(day), diff);
        }
        assert_eq!(all(&trending, 7, 1), [(1, 4, 0), (2, 2, 1), (5, 5, 0)]);
        assert_eq!(all(&trending, 1, 1), [(1, 3, 0)]);
        trending.add(2, TrackId(5), Day(99), -5);
        trending.add(2, TrackId(1), Day(100), -2);
        assert_eq!(all(&trending, 7, 2), [(1, 2, 0), (2, 2, 1)]);
        assert_eq!(all(&trending, 7, 1).len(), 2, "as-of 1, but for what has changed since");
        assert_eq!(trending.grown_else((Day(100), 7), 1).count(), 2);
        assert_eq!(trending.size(), 7);
        (0..PARTS as u64).for_each(|n| trending.keep_from(3 + n, Day(94)));
        assert_eq!(trending.size(), 4, "93 and 87 are gone");
        assert_eq!((all(&trending, 3, 70), all(&trending, 4, 70)), (vec![], vec![(1, 2, 0)]));
        trending.add(80, TrackId(3), Day(93), 1);
        trending.add(80, TrackId(3), Day(94), -1);
        assert_eq!(trending.size(), 4);
    }
}
