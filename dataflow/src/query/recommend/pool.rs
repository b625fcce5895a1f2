//! The playlists that are similar to the seeds, and what each seed is worth: steps 2 and 3 of the scoring
//! notes, at the query's home.

use rustc_hash::{FxHashMap, FxHashSet};

use super::artists::Artists;
use crate::ids::{ArtistId, PlaylistId, TrackId};
use crate::query::read::holding::Held;
use crate::query::read::stand_ins::Holder;
use crate::sample;
use crate::scoring::{DECORRELATED_MAX, Gram, Lengths, best, later, seed_weight, stand_in_weight, weigh};
use crate::views::Views;

/// Tracks of a seed's artist that stand in for it where there is little else.
const STAND_INS: usize = 5;
/// Playlists of each of them.
pub const STAND_IN_PLAYLISTS: usize = 100;
/// One that fewer playlists hold stands in for nothing.
const STAND_IN_HOLDING_MIN: u32 = 2;

/// The seeds, and what each is worth.
#[derive(Default)]
pub struct Weighed {
    /// Ascending, with weight, and how often the sample was halved. Those that nobody holds weigh nothing.
    pub seeds: Vec<(TrackId, u64, u32)>,
    /// K: those that some playlist holds.
    pub known: u32,
    /// N: playlists there are.
    pub playlists: u32,
}

impl Weighed {
    /// Weights by rarity. `seeds` are distinct.
    pub fn new(seeds: &[TrackId], sample: u32, views: &Views, epoch: u64) -> Self {
        let popularity = views.popularity.read();
        let playlists = popularity.playlists(epoch);
        let mut seeds: Vec<_> = seeds
            .iter()
            .map(|seed| {
                let holding = popularity.of(*seed, epoch);
                (*seed, seed_weight(playlists, holding), sample::level(holding, sample), holding)
            })
            .collect();
        seeds.sort_unstable();
        let known = seeds.iter().filter(|(.., holding)| *holding > 0).count() as u32;
        let seeds = seeds.into_iter().map(|(seed, weight, level, _)| (seed, weight, level)).collect();
        Weighed { seeds, known, playlists }
    }

    /// Takes from each seed what others say as well. `order` has the known seeds as they came, and `ordered`
    /// says that this means something; of very many, the last are told apart.
    pub fn decorrelate(&mut self, held: &[Held], order: &[TrackId], ordered: bool, lengths: &Lengths) {
        let places: FxHashMap<TrackId, usize> = order.iter().copied().zip(0..).collect();
        let first = order.len().saturating_sub(DECORRELATED_MAX);
        let place = |seed: TrackId| places.get(&seed).copied().filter(|place| *place >= first);
        // Numbers among all seeds, and among those told apart.
        let told: Vec<usize> = (0..self.seeds.len()).filter(|i| place(self.seeds[*i].0).is_some()).collect();
        let mut numbers = vec![None; self.seeds.len()];
        told.iter().zip(0..).for_each(|(seed, number)| numbers[*seed] = Some(number));

        let (mut gram, mut together) = (Gram::new(told.len()), Vec::new());
        for part in held {
            for (i, (_, entries)) in part.playlists.iter().enumerate() {
                together.clear();
                together.extend(part.masks.numbers(i).filter_map(|seed| numbers[seed]));
                gram.add(&together, lengths.count(*entries));
            }
        }
        let levels: Vec<u32> = told.iter().map(|i| self.seeds[*i].2).collect();
        let counts = told.iter().map(|i| later(place(self.seeds[*i].0).unwrap_or(0), order.len(), ordered));
        let worth = gram.worth(&levels, &counts.collect::<Vec<_>>());
        for (i, worth) in told.into_iter().zip(worth) {
            self.seeds[i].1 = weigh(self.seeds[i].1, worth);
        }
    }

    /// ā: what a seed weighs in the mean.
    fn mean(&self) -> f64 {
        self.seeds.iter().map(|(_, weight, _)| weight).sum::<u64>() as f64 / f64::from(self.known.max(1))
    }
}

/// Playlists that hold some of the seeds, as far as samples tell, or something like it.
#[derive(Default)]
pub struct Pool {
    /// With their number of entries, and what the seeds that they hold weigh.
    playlists: Vec<(PlaylistId, u32, u64)>,
}

impl Pool {
    /// Of the seeds' samples.
    pub fn new(held: &[Held], weighed: &Weighed) -> Self {
        let weights = |part: &Held, i: usize| part.masks.numbers(i).map(|seed| weighed.seeds[seed].1).sum();
        let all = held.iter().flat_map(|part| {
            part.playlists.iter().enumerate().map(move |(i, (id, entries))| (*id, *entries, weights(part, i)))
        });
        Pool { playlists: all.filter(|(.., weights)| *weights > 0).collect() }
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.playlists.len()
    }

    /// Adds the first playlists of each stand-in, which has such a weight.
    pub fn add(&mut self, mut holders: Vec<Holder>, weights: &[u64]) {
        let mut all: FxHashMap<PlaylistId, (u32, u64)> =
            self.playlists.iter().map(|(id, entries, weights)| (*id, (*entries, *weights))).collect();
        holders.sort_unstable();
        for some in holders.chunk_by(|a, b| a.0 == b.0) {
            for (number, playlist, entries) in some.iter().take(STAND_IN_PLAYLISTS) {
                all.entry(*playlist).or_insert((*entries, 0)).1 += weights[*number];
            }
        }
        let all = all.into_iter().filter(|(_, (_, weights))| *weights > 0);
        self.playlists = all.map(|(id, (entries, weights))| (id, entries, weights)).collect();
    }

    /// The most similar ones, best first, with their similarities.
    pub fn nearest(&self, lengths: &Lengths, limit: usize) -> Vec<(PlaylistId, u64)> {
        let similar =
            |(id, entries, weights): &(PlaylistId, u32, u64)| (*id, lengths.similarity(*weights, *entries));
        best(self.playlists.iter().map(similar).collect(), limit)
    }
}

/// For each of the known seeds in turn, the most common tracks of its artist that are not `taken`, as seeds are,
/// and do not stand in yet; ascending, each with the weight of its playlists.
pub fn stand_ins(
    known: &[TrackId],
    mut taken: FxHashSet<TrackId>,
    weighed: &Weighed,
    artists: &Artists,
    views: &Views,
    epoch: u64,
) -> Vec<(TrackId, u64)> {
    let (mean, mut chosen) = (weighed.mean(), Vec::new());
    let mut common: FxHashMap<ArtistId, Vec<(TrackId, u32)>> = FxHashMap::default();
    for artist in known.iter().filter_map(|seed| artists.of.get(seed)) {
        let common = common.entry(*artist).or_insert_with(|| artists.common([*artist], views, epoch));
        let free = common
            .iter()
            .filter(|(track, holding)| *holding >= STAND_IN_HOLDING_MIN && !taken.contains(track));
        let some: Vec<_> = free.take(STAND_INS).copied().collect();
        taken.extend(some.iter().map(|(track, _)| *track));
        chosen.extend(some.into_iter().map(|(track, holding)| (track, stand_in_weight(mean, holding))));
    }
    chosen.sort_unstable();
    chosen
}
