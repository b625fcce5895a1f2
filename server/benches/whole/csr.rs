//! The reference: the same recommendation over static arrays, which no event can change.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::Tally;
use segue_dataflow::sample;
use segue_dataflow::scoring::{Lengths, Voting, best, seed_weight};
use segue_dataflow::settings::{Neighbours, Recommend};

/// Tracks of a playlist, about.
const IDS_EACH: usize = 64;

/// Lists by key, end to end in one array.
struct Lists<K, V> {
    keys: Vec<K>,
    starts: Vec<u32>,
    values: Vec<V>,
}

impl<K: Ord + Copy, V: Copy> Lists<K, V> {
    /// Of sorted pairs.
    fn new(pairs: impl ExactSizeIterator<Item = (K, V)>) -> Self {
        let (mut keys, mut starts, mut values) = (Vec::new(), Vec::new(), Vec::with_capacity(pairs.len()));
        for (key, value) in pairs {
            if keys.last() != Some(&key) {
                keys.push(key);
                starts.push(values.len() as u32);
            }
            values.push(value);
        }
        starts.push(values.len() as u32);
        Lists { keys, starts, values }
    }

    fn get(&self, key: K) -> &[V] {
        match self.keys.binary_search(&key) {
            Ok(i) => &self.values[self.starts[i] as usize..self.starts[i + 1] as usize],
            Err(_) => &[],
        }
    }
}

/// Entries as static arrays, by playlist and by track.
pub struct Csr {
    by_playlist: Lists<PlaylistId, TrackId>,
    by_track: Lists<TrackId, PlaylistId>,
}

impl Csr {
    pub fn new(mut pairs: Vec<(PlaylistId, TrackId)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let by_playlist = Lists::new(pairs.iter().copied());
        pairs.sort_unstable_by_key(|(playlist, track)| (*track, *playlist));
        Csr {
            by_playlist,
            by_track: Lists::new(pairs.into_iter().map(|(playlist, track)| (track, playlist))),
        }
    }

    /// Tracks of some playlist, by its place.
    pub fn playlist(&self, place: usize) -> &[TrackId] {
        let id = self.by_playlist.keys[place % self.by_playlist.keys.len()];
        self.by_playlist.get(id)
    }

    /// Counts a track's row anew over its sample; gives the entries that were visited.
    pub fn recount(&self, track: TrackId, rules: &Neighbours) -> u64 {
        let holding = self.by_track.get(track);
        let last = sample::last(sample::level(holding.len() as u32, rules.sample));
        let sampled = &holding[..holding.partition_point(|playlist| playlist.0 <= last)];
        Tally::with(IDS_EACH * sampled.len(), |sums| {
            for playlist in sampled {
                self.by_playlist.get(*playlist).iter().for_each(|track| sums.add(track.0, 1));
            }
            let visited = sums.iter().map(|(_, count)| count).sum();
            let all = sums.iter().filter(|(other, count)| *count > 1 && *other != track.0);
            std::hint::black_box(best(all.collect(), rules.keep as usize));
            visited
        })
    }

    /// The tracks of a playlist whose rows change when it gains or loses this one.
    pub fn touched(&self, playlist: PlaylistId, track: TrackId, rules: &Neighbours) -> Vec<TrackId> {
        let has_row = |track: &TrackId| {
            let holding = self.by_track.get(*track).len() as u32;
            holding >= rules.min_support && playlist.0 <= sample::last(sample::level(holding, rules.sample))
        };
        self.by_playlist.get(playlist).iter().copied().chain([track]).filter(has_row).collect()
    }

    /// The best tracks for the seeds, without the seeds: with the same knobs, but no more than plain kNN of them.
    pub fn recommend(&self, seeds: &[TrackId], knobs: &Recommend, limit: usize) -> Vec<TrackId> {
        let playlists = self.by_playlist.keys.len() as u32;
        let constants = knobs.constants(seeds.len() as u32, playlists, false);
        let mut weights: FxHashMap<PlaylistId, u64> = FxHashMap::default();
        for seed in seeds {
            let holding = self.by_track.get(*seed);
            let weight = seed_weight(playlists, holding.len() as u32);
            let last = sample::last(sample::level(holding.len() as u32, knobs.sample_of(seeds.len())));
            for playlist in holding.iter().take_while(|playlist| playlist.0 <= last) {
                *weights.entry(*playlist).or_default() += weight;
            }
        }
        let lengths = Lengths::new(constants.length);
        let similar = weights
            .into_iter()
            .map(|(p, sum)| (p, lengths.similarity(sum, self.by_playlist.get(p).len() as u32)));
        let mut nearest = best(similar.filter(|(_, similar)| *similar > 0).collect(), knobs.nearest as usize);
        let one = nearest.first().map_or(0, |(_, similar)| *similar);
        let voting = Voting { one, power: constants.power, title: 0.0 };
        nearest.sort_unstable();
        let mut sums: FxHashMap<TrackId, u64> =
            FxHashMap::with_capacity_and_hasher(nearest.len() * 32, Default::default());
        for (playlist, similar) in nearest {
            let vote = voting.vote(similar, 0, 0);
            for track in self.by_playlist.get(playlist) {
                *sums.entry(*track).or_default() += vote;
            }
        }
        for seed in seeds {
            sums.remove(seed);
        }
        let mut all: Vec<(TrackId, u64)> = sums.into_iter().collect();
        if limit < all.len() {
            let (_, (_, least), _) = all.select_nth_unstable_by_key(limit - 1, |(_, votes)| Reverse(*votes));
            let least = *least;
            all.retain(|(_, votes)| *votes >= least);
        }
        // Ties by popularity.
        all.sort_by_cached_key(|(track, votes)| {
            (Reverse(*votes), Reverse(self.by_track.get(*track).len()), *track)
        });
        all.into_iter().take(limit).map(|(track, _)| track).collect()
    }
}
