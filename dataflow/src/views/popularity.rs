//! Popularity: how many playlists hold each track, and the chart of those held by most.
//!
//! Small and asked by everyone, so every worker has all of it. The chart is a list of the best with a
//! *floor*: no track outside the list ranks before the floor. A change costs one comparison; only when
//! removals have emptied the list are all tracks looked at again.

use std::cmp::Reverse;

use rustc_hash::FxHashSet;

use super::Shared;
use super::book::Book;
use super::parts::PARTS;
use super::titles::Titles;
use crate::ids::TrackId;

/// Tracks that the chart lists at least when it is made anew.
pub const LISTED_MIN: usize = 4096;

/// Order of the chart: most playlists first, then by id.
type Rank = (Reverse<u32>, TrackId);

/// The rank after all others: nothing is outside the list.
const LAST: Rank = (Reverse(0), TrackId(u64::MAX));

/// Counts of all tracks, as-of any held epoch.
pub struct Popularity {
    counts: Book<TrackId, u32>,
    playlists: Book<(), u32>,
    /// The same of titles.
    pub titles: Titles,
    listed: FxHashSet<TrackId>,
    floor: Rank,
    listed_min: usize,
}

impl Default for Popularity {
    fn default() -> Self {
        Popularity::with_listed_min(LISTED_MIN)
    }
}

impl Popularity {
    /// With a chart of at least so many tracks: a test makes it small.
    pub fn with_listed_min(listed_min: usize) -> Self {
        Popularity {
            counts: Book::default(),
            playlists: Book::default(),
            titles: Titles::default(),
            listed: FxHashSet::default(),
            floor: LAST,
            listed_min,
        }
    }

    /// Counts `diff` more playlists that hold `track`, from `epoch` on.
    pub fn add(&mut self, epoch: u64, track: TrackId, diff: i32) {
        let before = self.counts.newest(&track).copied().unwrap_or(0);
        let count = before.saturating_add_signed(diff);
        self.counts.set(epoch, track, (count > 0).then_some(count));
        if count > 0 && (Reverse(count), track) <= self.floor {
            if self.listed.insert(track) && self.listed.len() > 4 * self.listed_min {
                self.keep_best(2 * self.listed_min);
            }
        } else {
            self.listed.remove(&track);
        }
    }

    /// Counts `diff` more playlists, from `epoch` on.
    pub fn add_playlists(&mut self, epoch: u64, diff: i32) {
        let before = self.playlists.newest(&()).copied().unwrap_or(0);
        self.playlists.set(epoch, (), Some(before.saturating_add_signed(diff)));
    }

    /// Playlists that hold `track`, as-of `epoch`.
    pub fn of(&self, track: TrackId, epoch: u64) -> u32 {
        self.counts.get(&track, epoch).copied().unwrap_or(0)
    }

    /// The tracks that so many playlists hold at least, as-of `epoch`; some of them twice. All are looked at, a part
    /// of them under one lock.
    pub fn held_by(shared: &Shared<Popularity>, least: u32, epoch: u64) -> Vec<TrackId> {
        let mut held = Vec::new();
        for part in 0..PARTS {
            let popularity = shared.read();
            let tracks = popularity.counts.keys(part).copied();
            held.extend(tracks.filter(|track| popularity.of(*track, epoch) >= least));
        }
        let popularity = shared.read();
        let changed = popularity.counts.changed_since(epoch).copied();
        held.extend(changed.filter(|track| popularity.of(*track, epoch) >= least));
        held
    }

    /// Playlists there are, as-of `epoch`.
    pub fn playlists(&self, epoch: u64) -> u32 {
        self.playlists.get(&(), epoch).copied().unwrap_or(0)
    }

    /// Tracks that some playlist holds, as-of `epoch`.
    pub fn tracks(&self, epoch: u64) -> u64 {
        self.counts.len(epoch) as u64
    }

    /// The `limit` tracks that most playlists hold, as-of `epoch`, with how many; ties by id.
    pub fn top(&mut self, limit: usize, epoch: u64) -> Vec<(TrackId, u32)> {
        let mut keep = 2 * self.listed_min.max(limit);
        loop {
            // What is neither listed nor changed since ranks after the floor, then as now.
            let known: FxHashSet<TrackId> =
                self.listed.iter().chain(self.counts.changed_since(epoch)).copied().collect();
            let mut top: Vec<Rank> = known
                .into_iter()
                .map(|track| (Reverse(self.of(track, epoch)), track))
                .filter(|rank| rank.0.0 > 0 && *rank <= self.floor)
                .collect();
            if top.len() >= limit || self.floor == LAST {
                top.sort_unstable();
                top.truncate(limit);
                return top.into_iter().map(|(Reverse(count), track)| (track, count)).collect();
            }
            self.listed = self.counts.iter().map(|(track, _)| *track).collect();
            self.floor = LAST;
            self.keep_best(keep);
            // What has lost playlists since `epoch` may rank after the floor now: look further down.
            keep *= 2;
        }
    }

    /// Shortens the list to its best, and raises the floor to the last of them.
    fn keep_best(&mut self, keep: usize) {
        if self.listed.len() <= keep {
            return;
        }
        let rank = |track: &TrackId| (Reverse(self.counts.newest(track).copied().unwrap_or(0)), *track);
        let mut ranks: Vec<Rank> = self.listed.iter().map(rank).collect();
        let (_, last, _) = ranks.select_nth_unstable(keep - 1);
        self.floor = *last;
        ranks.truncate(keep);
        self.listed = ranks.into_iter().map(|(_, track)| track).collect();
    }

    /// Promises to read only as-of `since` or later.
    pub fn forget_before(&mut self, since: u64) {
        self.counts.forget_before(since);
        self.playlists.forget_before(since);
        self.titles.forget_before(since);
    }

    /// Epochs that can still be told apart.
    pub fn epochs(&self) -> usize {
        self.counts.epochs().max(self.titles.epochs())
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The chart from scratch.
    fn twin(counts: &[u32], limit: usize) -> Vec<(TrackId, u32)> {
        let mut all: Vec<(TrackId, u32)> = (0..).map(TrackId).zip(counts.iter().copied()).collect();
        all.retain(|(_, count)| *count > 0);
        all.sort_by_key(|(track, count)| (Reverse(*count), *track));
        all.truncate(limit);
        all
    }

    #[test]
    fn the_chart_equals_its_twin_at_every_held_epoch() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut popularity = Popularity::with_listed_min(1 + (rng.next_u32() % 5) as usize);
            let mut history = vec![vec![0_u32; 60]];
            let mut held_from = 0;
            for epoch in 1..300_u64 {
                let mut counts = history.last().expect("the first is there").clone();
                // Phases of growth and of removal, so that the list overflows and runs empty.
                let rising = (epoch / 40) % 2 == 0;
                for _ in 0..rng.random_range(0..6) {
                    let track = rng.random_range(0..60_usize);
                    let up = counts[track] == 0 || rng.random_bool(if rising { 0.8 } else { 0.2 });
                    counts[track] = if up { counts[track] + 1 } else { counts[track] - 1 };
                    popularity.add(epoch, TrackId(track as u64), if up { 1 } else { -1 });
                }
                history.push(counts);
                let since = epoch.saturating_sub(rng.random_range(0..8));
                popularity.forget_before(since);
                held_from = held_from.max(since);
                for as_of in held_from..=epoch {
                    for limit in [1, 4, 70] {
                        let expected = twin(&history[as_of as usize], limit);
                        assert_eq!(
                            popularity.top(limit, as_of),
                            expected,
                            "seed {seed} epoch {as_of} of {epoch}"
                        );
                    }
                    let there = history[as_of as usize].iter().filter(|n| **n > 0).count() as u64;
                    assert_eq!(popularity.tracks(as_of), there, "seed {seed} epoch {as_of} of {epoch}");
                }
            }
        }
    }
}
