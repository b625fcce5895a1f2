//! Which playlists of the seeds' samples hold which seeds.

use serde::{Deserialize, Serialize};

use super::LOCKED;
use crate::ids::{PlaylistId, TrackId};
use crate::query::tally::{SOME_IDS, Tally};
use crate::sample;
use crate::views::Views;

/// Asks for the sampled playlists of the seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holding {
    /// Seeds, ascending.
    pub seeds: Vec<TrackId>,
    /// Playlists read per seed, at least.
    pub sample: u32,
    /// The playlist that the seeds are from: it is not its own neighbour.
    pub but: Option<PlaylistId>,
}

/// Sampled playlists, each with the seeds that it holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Held {
    /// With their numbers of entries.
    pub playlists: Vec<(PlaylistId, u32)>,
    /// Of each playlist, as many words as a bit for each seed takes.
    pub masks: Masks,
}

/// Sets of numbers, one after the other, a bit for each number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Masks {
    words: usize,
    all: Vec<u64>,
}

impl Masks {
    /// None yet, with room for so many, for numbers below `numbers`.
    pub fn new(room: usize, numbers: usize) -> Self {
        let words = numbers.div_ceil(64).max(1);
        Masks { words, all: Vec::with_capacity(room * words) }
    }

    /// So many empty sets.
    pub fn empty(sets: usize, numbers: usize) -> Self {
        let mut masks = Masks::new(sets, numbers);
        masks.all.resize(sets * masks.words, 0);
        masks
    }

    /// Whether there are more than so many.
    fn has(&self, set: usize) -> bool {
        set * self.words < self.all.len()
    }

    /// One more set, empty.
    fn push(&mut self) {
        self.all.resize(self.all.len() + self.words, 0);
    }

    /// Puts a number in, or takes it out if it is there. Changes of what is there once or not at all may come in
    /// any order: an odd number of them puts it in.
    pub fn flip(&mut self, set: usize, number: usize, diff: i32) {
        self.all[set * self.words + number / 64] ^= u64::from(diff % 2 != 0) << (number % 64);
    }

    /// The words of one set.
    pub fn set(&self, set: usize) -> &[u64] {
        &self.all[set * self.words..][..self.words]
    }

    /// The numbers in one set, ascending.
    pub fn numbers(&self, set: usize) -> impl Iterator<Item = usize> {
        self.set(set).iter().enumerate().flat_map(|(at, word)| {
            let rest = std::iter::successors(Some(*word), |word| Some(word & word.wrapping_sub(1)));
            rest.take_while(|word| *word != 0).map(move |word| at * 64 + word.trailing_zeros() as usize)
        })
    }
}

impl Holding {
    /// Reads the samples, each a prefix of a posting list.
    pub fn run(&self, views: &Views, epoch: u64) -> Held {
        let last: Vec<PlaylistId> = {
            let popularity = views.popularity.read();
            let last = |seed| sample::last(sample::level(popularity.of(seed, epoch), self.sample));
            self.seeds.iter().map(|seed| PlaylistId(last(*seed))).collect()
        };
        let finds = views.by_track.find(&self.seeds, |i| last[i]);
        Tally::with(SOME_IDS, |found| {
            let mut masks = Masks::new(SOME_IDS, self.seeds.len());
            finds.updates(epoch, |seed, playlist, diff| {
                let place = found.place(playlist.0);
                if !masks.has(place) {
                    masks.push();
                }
                masks.flip(place, seed, diff);
            });
            self.existing(found, &masks, views, epoch)
        })
    }

    /// Those of the found playlists that exist and hold any seed.
    fn existing(&self, found: &Tally, masks: &Masks, views: &Views, epoch: u64) -> Held {
        let room = found.all().len();
        let mut held =
            Held { playlists: Vec::with_capacity(room), masks: Masks::new(room, self.seeds.len()) };
        for (some, from) in found.all().chunks(LOCKED).zip((0..).step_by(LOCKED)) {
            let books: Vec<_> = views.books.iter().map(|books| books.playlists.read()).collect();
            for (place, playlist) in (from..).zip(some.iter().map(|(id, _)| PlaylistId(*id))) {
                let mask = masks.set(place);
                if Some(playlist) == self.but || mask.iter().all(|word| *word == 0) {
                    continue;
                }
                if let Some(known) = books[(playlist.0 % books.len() as u64) as usize].get(&playlist, epoch) {
                    held.playlists.push((playlist, known.entries));
                    held.masks.all.extend_from_slice(mask);
                }
            }
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_numbers() {
        let mut masks = Masks::new(3, 130);
        (0..3).for_each(|_| masks.push());
        for (set, number, diff) in
            [(0, 129, 1), (0, 0, 1), (2, 64, 1), (2, 63, -1), (2, 63, 1), (2, 64, -1), (2, 64, 1)]
        {
            masks.flip(set, number, diff);
        }
        let sets = [0, 1, 2].map(|set| masks.numbers(set).collect::<Vec<_>>());
        assert_eq!(sets, [vec![0, 129], vec![], vec![64]]);
        assert_eq!(Masks::empty(2, 0).numbers(1).count(), 0);
    }
}
