//! Plain methods on the same playlists: what a recommender has to beat. They read every posting list whole, and
//! count in f64.
//!
//! Short of [`LIST`] tracks, the most popular others follow.

use std::cmp::Reverse;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::corpus::{Corpus, TrackNo};
use super::metrics::{LIST, Scores, score};
use super::split::{Query, Split};

/// Playlists that vote in playlist-kNN.
const NEAREST: usize = 1_000;

/// A plain method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// The tracks that most playlists hold.
    Popularity,
    /// Σ over the seeds of |both| / √(|one| · |other|), of the playlists that hold them.
    ItemCosine,
    /// The playlists with the greatest Σ idf² / √length of the seeds that they hold give their tracks that vote;
    /// idf = ln((N + 1) / n).
    PlaylistKnn,
    /// The same with n^-.4 for idf², and with two seeds or more the square as the vote: team Definitive Turtles of
    /// the challenge (Kelen, Berecz, Béres, Benczúr 2018: Efficient K-NN for Playlist Continuation), without the
    /// rescaling of votes that loses on few playlists.
    TurtlesKnn,
}

/// All of them.
pub const ALL: [Baseline; 4] =
    [Baseline::Popularity, Baseline::ItemCosine, Baseline::PlaylistKnn, Baseline::TurtlesKnn];

impl Baseline {
    pub fn name(self) -> &'static str {
        match self {
            Baseline::Popularity => "popularity",
            Baseline::ItemCosine => "item cosine",
            Baseline::PlaylistKnn => "playlist kNN",
            Baseline::TurtlesKnn => "Turtles kNN",
        }
    }
}

/// Sums by track, and which tracks have one.
struct Sums {
    sums: Vec<f64>,
    touched: Vec<TrackNo>,
}

impl Sums {
    fn add(&mut self, track: TrackNo, amount: f64) {
        let sum = &mut self.sums[track as usize];
        if *sum == 0.0 {
            self.touched.push(track);
        }
        *sum += amount;
    }

    /// Takes them out.
    fn drain(&mut self) -> Vec<(TrackNo, f64)> {
        self.touched.drain(..).map(|track| (track, std::mem::take(&mut self.sums[track as usize]))).collect()
    }
}

/// The index as static arrays, and the queries.
pub struct Baselines<'a> {
    corpus: &'a Corpus,
    split: &'a Split<'a>,
    /// By track: where its playlists start in `holders`; one more at the end.
    starts: Vec<usize>,
    /// Places in the index.
    holders: Vec<u32>,
    /// All tracks of the index, the most popular first.
    popular: Vec<TrackNo>,
}

impl<'a> Baselines<'a> {
    pub fn new(corpus: &'a Corpus, split: &'a Split<'a>) -> Self {
        let mut starts = vec![0; corpus.tracks.len() + 1];
        let entries =
            || (0..).zip(&split.index).flat_map(|(place, p)| p.tracks.iter().map(move |t| (place, *t)));
        entries().for_each(|(_, track): (u32, TrackNo)| starts[track as usize + 1] += 1);
        (1..starts.len()).for_each(|track| starts[track] += starts[track - 1]);
        let (mut next, mut holders) = (starts.clone(), vec![0; starts.last().copied().unwrap_or(0)]);
        for (place, track) in entries() {
            holders[next[track as usize]] = place;
            next[track as usize] += 1;
        }
        let mut all = Baselines { corpus, split, starts, holders, popular: Vec::new() };
        let known = (0..corpus.tracks.len() as TrackNo).filter(|track| all.knows(*track));
        let mut popular: Vec<TrackNo> = known.collect();
        popular.sort_unstable_by_key(|track| (Reverse(all.holders(*track).len()), corpus.id(*track)));
        all.popular = popular;
        all
    }

    /// Whether the index has this track.
    pub fn knows(&self, track: TrackNo) -> bool {
        !self.holders(track).is_empty()
    }

    /// Tracks that the index has.
    pub fn tracks(&self) -> usize {
        self.popular.len()
    }

    /// What this method is worth on every query, in order.
    pub fn scores(&self, baseline: Baseline) -> Vec<Scores> {
        let sums = || Sums { sums: vec![0.0; self.corpus.tracks.len()], touched: Vec::new() };
        let of = |sums: &mut Sums, query: &Query| {
            let ranked = self.ranked(baseline, &query.seeds, sums);
            score(&ranked, &query.truth, |track| self.corpus.artist(track))
        };
        self.split.queries.par_iter().map_init(sums, of).collect()
    }

    fn ranked(&self, baseline: Baseline, seeds: &[TrackNo], sums: &mut Sums) -> Vec<TrackNo> {
        match baseline {
            Baseline::Popularity => {}
            Baseline::ItemCosine => self.item_cosine(seeds, sums),
            Baseline::PlaylistKnn => {
                let idf = |holding: f64| ((self.split.index.len() as f64 + 1.0) / holding).ln();
                self.playlist_knn(seeds, sums, |holding| idf(holding) * idf(holding), 1);
            }
            Baseline::TurtlesKnn => {
                let power = if seeds.len() < 2 { 1 } else { 2 };
                self.playlist_knn(seeds, sums, |holding| holding.powf(-0.4), power);
            }
        }
        let mut taken: FxHashSet<TrackNo> = seeds.iter().copied().collect();
        let mut scored = sums.drain();
        if baseline == Baseline::ItemCosine {
            scored.iter_mut().for_each(|(track, sum)| *sum /= (self.holders(*track).len() as f64).sqrt());
        }
        scored.retain(|(track, _)| !taken.contains(track));
        let id = |track| self.corpus.id(track);
        scored.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| id(a.0).cmp(&id(b.0))));
        let mut ranked: Vec<TrackNo> = scored.into_iter().map(|(track, _)| track).take(LIST).collect();
        taken.extend(&ranked);
        let rest = self.popular.iter().filter(|track| !taken.contains(track));
        ranked.extend(rest.take(LIST - ranked.len()));
        ranked
    }

    fn item_cosine(&self, seeds: &[TrackNo], sums: &mut Sums) {
        for seed in seeds {
            let holders = self.holders(*seed);
            let each = 1.0 / (holders.len() as f64).sqrt();
            let tracks = holders.iter().flat_map(|place| &self.split.index[*place as usize].tracks);
            tracks.for_each(|track| sums.add(*track, each));
        }
    }

    /// `weight` of a seed that so many playlists hold; votes are similarities to the `power`.
    fn playlist_knn(&self, seeds: &[TrackNo], sums: &mut Sums, weight: impl Fn(f64) -> f64, power: i32) {
        let mut similar: FxHashMap<u32, f64> = FxHashMap::default();
        for seed in seeds {
            let holders = self.holders(*seed);
            let weight = weight(holders.len() as f64);
            holders.iter().for_each(|place| *similar.entry(*place).or_default() += weight);
        }
        let tracks = |place: u32| &self.split.index[place as usize].tracks;
        let similar = similar.into_iter().map(|(p, sum)| (p, sum / (tracks(p).len() as f64).sqrt()));
        let mut similar: Vec<(u32, f64)> = similar.collect();
        similar.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        for (place, similarity) in similar.into_iter().take(NEAREST) {
            tracks(place).iter().for_each(|track| sums.add(*track, similarity.powi(power)));
        }
    }

    fn holders(&self, track: TrackNo) -> &[u32] {
        &self.holders[self.starts[track as usize]..self.starts[track as usize + 1]]
    }
}

#[cfg(test)]
mod tests {
    use segue_dataflow::ids::{PlaylistId, TrackId};

    use super::super::corpus::{Playlist, Track};
    use super::*;

    /// Track n has id n, so that ties go to the smaller number.
    fn corpus(playlists: &[&[TrackNo]]) -> Corpus {
        let playlists = (0..).zip(playlists).map(|(n, tracks)| Playlist {
            id: PlaylistId(n),
            uri: "".into(),
            title: None,
            tracks: tracks.to_vec(),
        });
        let track = |n| Track { id: TrackId(n), uri: "".into(), artist: None };
        Corpus { playlists: playlists.collect(), tracks: (0..7).map(track).collect(), artists: Vec::new() }
    }

    fn split(corpus: &Corpus) -> Split<'_> {
        let index = corpus.playlists.iter().collect();
        let (held_out, queries, lacking) = (Vec::new(), Vec::new(), Vec::new());
        Split { categories: &[], held_out, index, queries, lacking }
    }

    fn ranked(baselines: &Baselines<'_>, baseline: Baseline, seeds: &[TrackNo]) -> Vec<TrackNo> {
        let mut sums = Sums { sums: vec![0.0; 7], touched: Vec::new() };
        baselines.ranked(baseline, seeds, &mut sums)
    }

    #[test]
    fn worked_by_hand() {
        let corpus = corpus(&[&[0, 1, 2, 4], &[0, 2], &[1, 3, 4], &[2, 5], &[2]]);
        let split = split(&corpus);
        let baselines = Baselines::new(&corpus, &split);
        let ranked = |baseline, seeds: &[TrackNo]| ranked(&baselines, baseline, seeds);
        // Held by 4, then by 2 (0, 1, 4), then by 1 (3, 5); 6 is nowhere.
        assert_eq!(ranked(Baseline::Popularity, &[1]), [2, 0, 4, 3, 5]);
        assert_eq!((baselines.tracks(), baselines.knows(6)), (6, false));
        // Beside 0: 2 shares 2 of 2 and 4: 2/√8 = .71; 1 and 4 share 1: 1/√4 = .5. Then popular: 3, 5.
        assert_eq!(ranked(Baseline::ItemCosine, &[0]), [2, 1, 4, 3, 5]);
        // Beside 1: 4 shares 2 of 2 and 2: 1; 3 shares 1 of 2 and 1: 1/√2; 0: 1/2; 2: 1/√8.
        assert_eq!(ranked(Baseline::ItemCosine, &[1]), [4, 3, 0, 2, 5]);
        // Of 5 playlists 2 hold track 1: [0 1 2 4] votes idf²/√4, [1 3 4] idf²/√3: so 4, then 3, then 0 and 2.
        assert_eq!(ranked(Baseline::PlaylistKnn, &[1]), [4, 3, 0, 2, 5]);
        // Seeds 0 (in two playlists) and 5 (in one): ln(6/2)² = 1.21 and ln(6/1)² = 3.21, so [2 5] votes 2.27,
        // [0 2] .85, [0 1 2 4] .60.
        assert_eq!(ranked(Baseline::PlaylistKnn, &[0, 5]), [2, 1, 4, 3]);
        // An unknown seed says nothing.
        assert_eq!(ranked(Baseline::PlaylistKnn, &[6]), [2, 0, 1, 4, 3, 5]);
        assert_eq!(ranked(Baseline::ItemCosine, &[6]), [2, 0, 1, 4, 3, 5]);
    }

    #[test]
    fn the_turtles_weigh_seeds_less_and_playlists_more() {
        let both = |playlists: &[&[TrackNo]], seeds: &[TrackNo]| {
            let corpus = corpus(playlists);
            let split = split(&corpus);
            let baselines = Baselines::new(&corpus, &split);
            [Baseline::PlaylistKnn, Baseline::TurtlesKnn].map(|knn| ranked(&baselines, knn, seeds))
        };
        // Two seeds w each: [0 1 2] has 2w/√3 = 1.15w, the others w/√2 = .71w, together 1.41w; squared 1.33 and 1.
        assert_eq!(both(&[&[0, 1, 2], &[0, 3], &[1, 3]], &[0, 1]), [[3, 2], [2, 3]]);
        // One seed: twice .71 is more than .58, and no square.
        assert_eq!(both(&[&[0, 1, 2], &[0, 3], &[0, 3]], &[0]), [[3, 1, 2], [3, 1, 2]]);
        // ln(4)²/√5 = .86 and ln(2)²/√2 = .34; 1/√5 = .45 and 2^-.4/√2 = .54, which 4 has twice.
        let [idf, turtles] = both(&[&[0, 2, 4, 5, 6], &[1, 3], &[1, 4]], &[0, 1]);
        assert_eq!((idf, turtles), (vec![4, 2, 5, 6, 3], vec![4, 3, 2, 5, 6]));
    }
}
