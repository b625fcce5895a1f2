//! Tracks and their counts, in so many places.
//!
//! Most tracks that are sought are not there, and to see that all ids would have to be read, from memory that is far
//! away. So eight bits of each stand together: one in 256 ids that are not sought is read in vain.

use std::cmp::Reverse;
use std::ops::Range;

use crate::ids::TrackId;

/// Order of a row: most shared playlists first, then by id. What is less is better.
pub type Rank = (Reverse<u32>, TrackId);

/// Never grown: rows are many.
#[derive(Clone, Debug)]
pub struct Listing {
    tracks: Box<[TrackId]>,
    /// A sample has less than 2^16 playlists.
    counts: Box<[u16]>,
    marks: Box<[u8]>,
}

/// The lowest eight bits: ids are hashes.
fn mark(track: TrackId) -> u8 {
    track.0 as u8
}

impl Listing {
    /// With so many places.
    pub fn new(places: usize) -> Self {
        Listing {
            tracks: vec![TrackId(0); places].into(),
            counts: vec![0; places].into(),
            marks: vec![0; places].into(),
        }
    }

    /// What [`Listing::find`] reads: a byte for each place.
    pub fn marks(&self) -> &[u8] {
        &self.marks
    }

    /// The track there.
    pub fn track(&self, place: usize) -> TrackId {
        self.tracks[place]
    }

    /// The count of the track there.
    pub fn count(&self, place: usize) -> u32 {
        self.counts[place].into()
    }

    /// How the track there ranks.
    pub fn rank(&self, place: usize) -> Rank {
        (Reverse(self.count(place)), self.track(place))
    }

    /// Puts a track there.
    pub fn put(&mut self, place: usize, track: TrackId, count: u32) {
        (self.tracks[place], self.marks[place]) = (track, mark(track));
        self.set_count(place, count);
    }

    /// Sets the count of the track there.
    pub fn set_count(&mut self, place: usize, count: u32) {
        self.counts[place] = u16::try_from(count).unwrap_or(u16::MAX);
    }

    /// Changes two places.
    pub fn swap(&mut self, one: usize, other: usize) {
        self.tracks.swap(one, other);
        self.counts.swap(one, other);
        self.marks.swap(one, other);
    }

    /// Moves a track; those in between move by one.
    pub fn shift(&mut self, from: usize, to: usize) {
        if from < to {
            self.tracks[from..=to].rotate_left(1);
            self.counts[from..=to].rotate_left(1);
            self.marks[from..=to].rotate_left(1);
        } else {
            self.tracks[to..=from].rotate_right(1);
            self.counts[to..=from].rotate_right(1);
            self.marks[to..=from].rotate_right(1);
        }
    }

    /// The place of a track in a part of them.
    pub fn find(&self, part: Range<usize>, track: TrackId) -> Option<usize> {
        let from = part.start;
        let mut marked = memchr::memchr_iter(mark(track), &self.marks[part]).map(|at| from + at);
        marked.find(|place| self.tracks[*place] == track)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_track_is_found_wherever_it_went() {
        const PLACES: usize = 40;
        let (mut listing, mut twin) = (Listing::new(PLACES), vec![(TrackId(0), 0); PLACES]);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for n in 0..2_000 {
            let (one, other) = (rng.random_range(0..PLACES), rng.random_range(0..PLACES));
            // Many of them look alike.
            let (track, count) = (TrackId(n << 8 | rng.random_range(0..4)), rng.random_range(0..70_000));
            match n % 4 {
                0 | 1 => {
                    listing.put(one, track, count);
                    twin[one] = (track, count.min(65_535));
                }
                2 => {
                    listing.swap(one, other);
                    twin.swap(one, other);
                }
                _ => {
                    listing.shift(one, other);
                    let moved = twin.remove(one);
                    twin.insert(other, moved);
                }
            }
            let all: Vec<_> = (0..PLACES).map(|place| (listing.track(place), listing.count(place))).collect();
            assert_eq!(all, twin);
            let part = one.min(other)..one.max(other);
            for (track, _) in twin.iter().chain(&[(track, 0)]) {
                let expected = part.clone().find(|place| twin[*place].0 == *track);
                assert_eq!(listing.find(part.clone(), *track), expected);
            }
        }
    }
}
