//! What additions that were looked at add up to, by the number of their playlist's tracks.

use segue_dataflow::ids::TrackId;
use segue_dataflow::query::Foreseen;
use serde::Serialize;

use super::shown::Shown;

/// Recommendations that an addition may be among.
pub const LIST: usize = 100;
/// Recommendations that are seen without looking further.
const FIRST: usize = 10;

/// Classes by number of seeds: the smallest of each, as in the categories of `segue evaluate`.
const SEEDS: [(u32, &str); 6] =
    [(0, "0"), (1, "1-4"), (5, "5-9"), (10, "10-24"), (25, "25-99"), (100, "100+")];

/// Sums over all additions.
#[derive(Debug, Default)]
pub struct Tally {
    all: Sums,
    classes: [Sums; SEEDS.len()],
    /// Tracks there are.
    tracks: u64,
}

/// Sums over some additions.
#[derive(Debug, Default)]
struct Sums {
    asked: u64,
    hits: u64,
    hits_first: u64,
    reciprocal_ranks: f64,
    /// Of ln(1 + playlists) of the first that were shown (their mean), and of the added.
    popularity_shown: f64,
    popularity_added: f64,
    /// The first that were shown.
    shown: Shown,
}

/// What became of one addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The class of its playlist.
    pub seeds: &'static str,
    /// From 1; none if it would not have been recommended.
    pub rank: Option<usize>,
}

/// Rates over some additions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// How many were looked at.
    pub asked: u64,
    /// The share that was among the first ten recommendations.
    pub hit_rate_10: f64,
    /// The share that was among the first hundred.
    pub hit_rate_100: f64,
    /// The mean of 1 / rank; 0 for what was not among them.
    pub mean_reciprocal_rank: f64,
    /// How many times as popular as what was added the first ten recommendations are, in the geometric mean.
    pub popularity_bias: f64,
    /// The share of all tracks that were among some first ten recommendations.
    pub catalogue_shown: f64,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    all: Rates,
    /// Additions for which there was no time.
    skipped: u64,
    by_seeds: Vec<Class>,
}

/// Rates over those whose playlist had so many tracks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Class {
    /// How many.
    pub seeds: &'static str,
    /// The rates.
    #[serde(flatten)]
    pub rates: Rates,
}

fn class(seeds: u32) -> usize {
    SEEDS.partition_point(|(least, _)| *least <= seeds) - 1
}

impl Tally {
    /// Takes in what would have been recommended before `track` was added.
    pub fn add(&mut self, track: TrackId, foreseen: &Foreseen) -> Found {
        let class = class(foreseen.seeds);
        let rank = foreseen.shown.iter().position(|(shown, _)| *shown == track).map(|place| place + 1);
        self.tracks = foreseen.tracks;
        self.all.add(rank, foreseen);
        self.classes[class].add(rank, foreseen);
        Found { seeds: SEEDS[class].1, rank }
    }

    /// The rates of each class that has any.
    pub fn by_seeds(&self) -> impl Iterator<Item = Class> {
        let classes = SEEDS.iter().zip(&self.classes).filter(|(_, sums)| sums.asked > 0);
        classes.map(|((_, seeds), sums)| Class { seeds, rates: sums.rates(self.tracks) })
    }

    /// The rates of all.
    pub fn all(&self) -> Rates {
        self.all.rates(self.tracks)
    }

    /// All of it; none if there is nothing.
    pub fn report(&self, skipped: u64) -> Option<Report> {
        (self.all.asked > 0).then(|| Report { all: self.all(), skipped, by_seeds: self.by_seeds().collect() })
    }
}

impl Sums {
    fn add(&mut self, rank: Option<usize>, foreseen: &Foreseen) {
        let popularity = |playlists: u32| f64::from(playlists).ln_1p();
        let first = &foreseen.shown[..foreseen.shown.len().min(FIRST)];
        first.iter().for_each(|(track, _)| self.shown.add(*track));
        self.asked += 1;
        self.hits += u64::from(rank.is_some());
        self.hits_first += u64::from(rank.is_some_and(|rank| rank <= FIRST));
        self.reciprocal_ranks += rank.map_or(0.0, |rank| 1.0 / rank as f64);
        self.popularity_shown += first.iter().map(|(_, playlists)| popularity(*playlists)).sum::<f64>()
            / first.len().max(1) as f64;
        self.popularity_added += popularity(foreseen.holding);
    }

    /// The rates, where there are so many tracks.
    fn rates(&self, tracks: u64) -> Rates {
        let each = |sum: f64| sum / self.asked.max(1) as f64;
        Rates {
            asked: self.asked,
            hit_rate_10: each(self.hits_first as f64),
            hit_rate_100: each(self.hits as f64),
            mean_reciprocal_rank: each(self.reciprocal_ranks),
            popularity_bias: each(self.popularity_shown - self.popularity_added).exp(),
            catalogue_shown: self.shown.count() as f64 / tracks.max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_begin_where_they_say() {
        let named = [0, 1, 4, 5, 9, 10, 24, 25, 99, 100, 20_000].map(|seeds| SEEDS[class(seeds)].1);
        assert_eq!(
            named,
            ["0", "1-4", "1-4", "5-9", "5-9", "10-24", "10-24", "25-99", "25-99", "100+", "100+"]
        );
    }

    #[test]
    fn worked_by_hand() {
        let mut tally = Tally::default();
        assert!(tally.report(3).is_none());
        let shown = |tracks: std::ops::Range<u64>, playlists| {
            tracks.map(|track| (TrackId(track), playlists)).collect::<Vec<_>>()
        };
        // Held by 7 each, and so is what is added: at rank 4, at rank 12, and not at all.
        for (seeds, track, expected) in [(3, 4, Some(4)), (3, 12, Some(12)), (30, 500, None)] {
            let foreseen = Foreseen { seeds, holding: 7, tracks: 40, shown: shown(1..51, 7) };
            assert_eq!(tally.add(TrackId(track), &foreseen).rank, expected);
        }
        // New to all, where popular ones are shown: ln(1 + 7) - ln(1 + 0).
        let foreseen = Foreseen { seeds: 40, holding: 0, tracks: 44, shown: shown(6..12, 7) };
        assert_eq!(tally.add(TrackId(600), &foreseen), Found { seeds: "25-99", rank: None });
        let [few, many] = [0, 1].map(|class| tally.by_seeds().nth(class).expect("two classes").rates);
        assert_eq!((few.asked, few.hit_rate_10, few.hit_rate_100), (2, 0.5, 1.0));
        assert!((few.mean_reciprocal_rank - (1.0 / 4.0 + 1.0 / 12.0) / 2.0).abs() < 1e-12);
        assert!((few.popularity_bias - 1.0).abs() < 1e-12);
        // The geometric mean of 1 and 8.
        assert!((many.popularity_bias - 8_f64.sqrt()).abs() < 1e-12);
        // Tracks 1 to 10, and 1 to 11, of 44.
        assert_eq!((few.catalogue_shown, many.catalogue_shown), (10.0 / 44.0, 0.25));
        let report = tally.report(3).map(|report| serde_json::json!(report)).unwrap_or_default();
        assert_eq!((&report["asked"], &report["skipped"]), (&4.into(), &3.into()));
        assert_eq!((&report["hit_rate_10"], &report["hit_rate_100"]), (&0.25.into(), &0.5.into()));
        // Tracks 1 to 11 of 44.
        assert_eq!(report["catalogue_shown"], 0.25);
        assert_eq!(report["by_seeds"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            (&report["by_seeds"][1]["seeds"], &report["by_seeds"][1]["asked"]),
            (&"25-99".into(), &2.into())
        );
    }
}
