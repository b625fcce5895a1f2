//! What each seed is worth, and what the playlists weigh that hold some: steps 2 and 3 of docs/scoring.md, at the
//! query's home.

use rustc_hash::FxHashMap;

use crate::ids::TrackId;
use crate::query::read::holding::Held;
use crate::sample;
use crate::scoring::{Candidate, DECORRELATED_MAX, Gram, Lengths, later, seed_weight, weigh};
use crate::views::Views;

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
    pub fn mean(&self) -> f64 {
        self.seeds.iter().map(|(_, weight, _)| weight).sum::<u64>() as f64 / f64::from(self.known.max(1))
    }
}

/// Playlists that hold some of the seeds, as far as samples tell.
pub fn candidates(held: &[Held], weighed: &Weighed) -> Vec<Candidate> {
    let weights = |part: &Held, i: usize| part.masks.numbers(i).map(|seed| weighed.seeds[seed].1).sum();
    let all = held.iter().flat_map(|part| {
        part.playlists.iter().enumerate().map(move |(i, (id, entries))| (*id, *entries, weights(part, i)))
    });
    all.filter(|(.., weights)| *weights > 0).collect()
}
