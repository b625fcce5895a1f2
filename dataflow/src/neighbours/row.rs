//! One row: the tracks that share most of one track's sampled playlists.
//!
//! It lists twice as many as it shows, with exact counts, best first. Of all others it has a *bound* and what
//! some have gained: the count of a track that is not listed, less what it has gained, does not rank before
//! the bound. So a gain costs a question only once it could bring the track among the shown, and only if
//! removals pull the last one shown behind the bound must the row be counted anew.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use super::listing::{Listing, Rank};
use crate::ids::TrackId;

/// Any track that shares two playlists is better.
const NOBODY: Rank = (Reverse(1), TrackId(0));
/// Playlists that a neighbour shares at least: one may be chance.
pub const SHARED_MIN: u32 = 2;
/// Gains that a row remembers. One more, and the bound is raised by one instead: most are forgotten then.
const GAINS_MAX: usize = 24;
/// Questions of one row that cost more than to count it anew.
const QUESTIONS_MAX: usize = 24;

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The listed ones, with what each shares; after room for twice the shown, those with a gain, and that.
    all: Listing,
    listed: u16,
    gains: u16,
    level: u8,
    sampled: u32,
    bound: Rank,
    /// The last one shown; anybody is better if there is room. Kept here because every change asks for it, and the
    /// middle of the lists is far away.
    last_shown: Rank,
}

/// A row that is being changed.
pub struct Draft<'a> {
    row: &'a mut Arc<Row>,
    /// Whether it may need anything.
    is_touched: bool,
    /// As it was, once what it shows has changed.
    pub old: Option<Arc<Row>>,
}

/// What a row needs to be exact.
#[derive(Debug, PartialEq, Eq)]
pub enum Need {
    /// How many playlists it shares with these tracks; with none, it is exact.
    Counts(Vec<TrackId>),
    /// To be counted anew.
    Recount,
}

impl Row {
    /// Of a sample of this level with so many playlists, from all tracks and what they share.
    pub fn new(keep: usize, level: u8, sampled: u32, mut all: Vec<Rank>) -> Self {
        all.retain(|(Reverse(count), _)| *count >= SHARED_MIN);
        let room = 2 * keep;
        let mut bound = NOBODY;
        if all.len() > room {
            bound = *all.select_nth_unstable(room).1;
            all.truncate(room);
        }
        all.sort_unstable();
        let (listed, mut listing) = (all.len() as u16, Listing::new(room + GAINS_MAX));
        for (place, (Reverse(count), track)) in all.into_iter().enumerate() {
            listing.put(place, track, count);
        }
        let row = Row { all: listing, listed, gains: 0, level, sampled, bound, last_shown: NOBODY };
        Row { last_shown: row.find_last_shown(), ..row }
    }

    /// From its neighbours alone: nothing is known of others but that they do not rank before the last one shown.
    pub fn of_shown(keep: usize, sampled: u32, mut shown: Vec<Rank>) -> Self {
        shown.sort_unstable();
        shown.truncate(keep);
        let bound = shown.get(keep.saturating_sub(1)).copied().unwrap_or(NOBODY);
        Row { bound, ..Row::new(keep, 0, sampled, shown) }
    }

    /// Sets how often the posting list was halved.
    pub fn at_level(self, level: u8) -> Self {
        Row { level, ..self }
    }

    /// The neighbours and how many playlists each shares: best first, two playlists at least.
    pub fn neighbours(&self) -> impl Iterator<Item = (TrackId, u32)> {
        (0..self.keep().min(self.listed())).map(|i| (self.all.track(i), self.all.count(i)))
    }

    /// What a change reads first.
    pub fn marks(&self) -> &[u8] {
        self.all.marks()
    }

    /// How many playlists were counted.
    pub fn sampled(&self) -> u32 {
        self.sampled
    }

    /// How often the posting list was halved.
    pub fn level(&self) -> u8 {
        self.level
    }

    fn keep(&self) -> usize {
        (self.all.marks().len() - GAINS_MAX) / 2
    }

    fn listed(&self) -> usize {
        usize::from(self.listed)
    }

    /// Where the gains are.
    fn gains(&self) -> Range<usize> {
        let from = 2 * self.keep();
        from..from + usize::from(self.gains)
    }

    /// How many of the listed are better.
    fn place(&self, rank: Rank) -> usize {
        let (mut lo, mut hi) = (0, self.listed());
        while lo < hi {
            let middle = usize::midpoint(lo, hi);
            if self.all.rank(middle) < rank { lo = middle + 1 } else { hi = middle }
        }
        lo
    }

    fn find_last_shown(&self) -> Rank {
        let last = self.keep().checked_sub(1).filter(|last| *last < self.listed());
        last.map_or(NOBODY, |last| self.all.rank(last))
    }

    /// The best rank that a track which is not listed can have after such a gain.
    fn best_after(&self, track: TrackId, gain: u32) -> Rank {
        let (Reverse(count), id) = self.bound;
        let before = if track < id { count - 1 } else { count };
        (Reverse(before + gain), track)
    }

    /// Forgets the gain at `i`.
    fn forget(&mut self, i: usize) {
        let last = self.gains().end - 1;
        self.all.swap(i, last);
        self.gains -= 1;
    }

    /// Raises the bound by one, so that every gain is one less.
    fn raise(&mut self) {
        self.bound.0.0 += 1;
        for i in self.gains().rev() {
            self.all.set_count(i, self.all.count(i) - 1);
            if self.all.count(i) == 0 {
                self.forget(i);
            }
        }
    }

    /// The tracks that could be among the shown by what they have gained; their counts will be told.
    fn doubtful(&mut self) -> Vec<TrackId> {
        let mut doubtful = Vec::new();
        for i in self.gains().rev() {
            let (track, gain) = (self.all.track(i), self.all.count(i));
            if self.best_after(track, gain) < self.last_shown {
                doubtful.push(track);
                self.forget(i);
            }
        }
        doubtful
    }
}

impl<'a> Draft<'a> {
    /// Begins to change a row.
    pub fn new(row: &'a mut Arc<Row>) -> Self {
        Draft { row, is_touched: false, old: None }
    }

    /// The row, for a change at this place.
    fn at(&mut self, place: usize) -> &mut Row {
        if place < self.row.keep() && self.old.is_none() {
            self.old = Some(Arc::clone(self.row));
        }
        Arc::make_mut(self.row)
    }

    /// So many more sampled playlists hold the row's own track.
    pub fn sample(&mut self, diff: i32) {
        let row = self.at(0);
        row.sampled = row.sampled.saturating_add_signed(diff);
    }

    /// So many more sampled playlists hold `track` too, which `holding` playlists hold in all.
    pub fn share(&mut self, track: TrackId, holding: u32, diff: i32) {
        match self.row.all.find(0..self.row.listed(), track) {
            Some(from) => self.move_listed(from, diff),
            None => self.gain(track, holding, diff),
        }
    }

    /// A track that is not listed gains, or loses. It has no more than `holding`.
    fn gain(&mut self, track: TrackId, holding: u32, diff: i32) {
        let known = self.row.all.find(self.row.gains(), track);
        if known.is_none() && (diff < 0 || (Reverse(holding), track) >= self.row.bound) {
            return;
        }
        self.is_touched = true;
        let row = Arc::make_mut(self.row);
        if let Some(i) = known {
            row.all.set_count(i, row.all.count(i).saturating_add_signed(diff));
            if row.all.count(i) == 0 {
                row.forget(i);
            }
        } else {
            while usize::from(row.gains) == GAINS_MAX {
                row.raise();
            }
            row.all.put(row.gains().end, track, diff.unsigned_abs());
            row.gains += 1;
        }
    }

    fn move_listed(&mut self, from: usize, diff: i32) {
        let (Reverse(count), track) = self.row.all.rank(from);
        let count = count.saturating_add_signed(diff);
        let stays = count >= SHARED_MIN;
        // Among the better ones is the track itself if it falls, as it was.
        let to = match stays {
            true => self.row.place((Reverse(count), track)) - usize::from(diff < 0),
            false => self.row.listed() - 1,
        };
        let row = self.at(from.min(to));
        row.all.shift(from, to);
        row.all.set_count(to, count);
        row.listed -= u16::from(!stays);
        row.last_shown = row.find_last_shown();
        self.is_touched = true;
    }

    /// What the row needs after all changes of a step.
    pub fn need(&mut self) -> Need {
        if !self.is_touched {
            return Need::Counts(Vec::new());
        }
        if self.row.bound < self.row.last_shown {
            return Need::Recount;
        }
        let doubtful = Arc::make_mut(self.row).doubtful();
        if doubtful.len() > QUESTIONS_MAX { Need::Recount } else { Need::Counts(doubtful) }
    }

    /// Takes the count of a track that was in doubt; true if it is listed now.
    pub fn told(&mut self, track: TrackId, count: u32) -> bool {
        let rank = (Reverse(count), track);
        if rank >= self.row.bound {
            return false;
        }
        let (place, room) = (self.row.place(rank), 2 * self.row.keep());
        if place == room {
            Arc::make_mut(self.row).bound = rank;
            return false;
        }
        let row = self.at(place);
        if row.listed() == room {
            row.bound = row.bound.min(row.all.rank(room - 1));
            row.listed -= 1;
        }
        let listed = row.listed();
        row.all.shift(listed, place);
        row.all.put(place, track, count);
        row.listed += 1;
        row.last_shown = row.find_last_shown();
        true
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn ranks(counts: &[u32]) -> Vec<Rank> {
        (0..).map(TrackId).zip(counts).map(|(track, count)| (Reverse(*count), track)).collect()
    }

    /// The row from scratch.
    fn twin(counts: &[u32], keep: usize) -> Vec<(TrackId, u32)> {
        let mut all = ranks(counts);
        all.retain(|(Reverse(count), _)| *count >= 2);
        all.sort_unstable();
        all.truncate(keep);
        all.into_iter().map(|(Reverse(count), track)| (track, count)).collect()
    }

    #[test]
    fn a_row_equals_its_twin_after_any_changes() {
        let (mut told, mut recounted, mut put_off) = (0, 0, 0);
        for seed in 0..60 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (keep, tracks) = (rng.random_range(1..8), rng.random_range(5..200));
            let mut counts: Vec<u32> = (0..tracks).map(|_| rng.random_range(0..12)).collect();
            let mut row = Arc::new(Row::new(keep, 0, 9, ranks(&counts)));
            for step in 0..400 {
                let before: Vec<_> = row.neighbours().collect();
                let mut draft = Draft::new(&mut row);
                // Phases of growth and of removal, so that bounds are raised and rows run empty.
                let rising = (step / 50) % 2 == 0;
                for _ in 0..rng.random_range(0..40) {
                    let track = rng.random_range(0..tracks);
                    let up = counts[track] == 0 || rng.random_bool(if rising { 0.8 } else { 0.2 });
                    counts[track] = if up { counts[track] + 1 } else { counts[track] - 1 };
                    let holding = counts[track] + rng.random_range(0..3);
                    draft.share(TrackId(track as u64), holding, if up { 1 } else { -1 });
                }
                let need = draft.need();
                let old = draft.old.take().unwrap_or_else(|| Arc::clone(&row));
                assert!(old.neighbours().eq(before), "seed {seed}, step {step}: the old row is kept");
                match need {
                    Need::Recount => {
                        recounted += 1;
                        row = Arc::new(Row::new(keep, 0, 9, ranks(&counts)));
                    }
                    Need::Counts(doubtful) => {
                        told += doubtful.len();
                        put_off += usize::from(row.gains);
                        let mut draft = Draft::new(&mut row);
                        for track in doubtful {
                            draft.told(track, counts[track.0 as usize]);
                        }
                    }
                }
                let shown: Vec<_> = row.neighbours().collect();
                assert_eq!(shown, twin(&counts, keep), "seed {seed}, step {step}");
            }
        }
        assert!(told > 1_000 && recounted > 200 && put_off > 1_000, "{told} {recounted} {put_off}");
    }

    #[test]
    fn a_row_that_shows_nothing_is_no_error() {
        for row in [Row::new(0, 0, 9, ranks(&[5, 4])), Row::of_shown(0, 9, ranks(&[5, 4]))] {
            assert_eq!((row.neighbours().count(), row.sampled()), (0, 9));
        }
    }

    #[test]
    fn gains_are_bounded_and_none_is_lost() {
        // One shown with 30, one listed with 20, and many that gain one by one from 10.
        let mut counts: Vec<u32> = (0..200).map(|_| 10).collect();
        (counts[0], counts[1]) = (30, 20);
        let mut row = Arc::new(Row::new(1, 0, 9, ranks(&counts)));
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for _ in 0..3_000 {
            let track = rng.random_range(2..200);
            counts[track] += 1;
            let mut draft = Draft::new(&mut row);
            draft.share(TrackId(track as u64), 1_000, 1);
            match draft.need() {
                Need::Recount => row = Arc::new(Row::new(1, 0, 9, ranks(&counts))),
                Need::Counts(doubtful) => {
                    doubtful.iter().for_each(|track| {
                        draft.told(*track, counts[track.0 as usize]);
                    });
                }
            }
            assert!(usize::from(row.gains) <= GAINS_MAX);
            assert!(row.neighbours().eq(twin(&counts, 1)));
        }
    }
}
