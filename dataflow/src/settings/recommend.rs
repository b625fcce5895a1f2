//! Knobs of recommendation. What depends on the number of seeds is a [`Curve`]; the defaults are the tuned
//! ones of docs/scoring.md.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::Curve;

/// So many seeds that are a random part of a list have constants of their own.
const RANDOM_FROM: u32 = 10;

/// Knobs of recommendation, with the symbols of docs/scoring.md.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recommend {
    /// m: playlists read per seed, at least; at most twice as many are. In steps, by the number of distinct seeds that
    /// are given. See docs/scoring.md, "Whether m matters".
    #[serde(deserialize_with = "sample")]
    pub sample: Curve,
    /// k: the most similar playlists whose tracks are counted as votes.
    #[schemars(range(min = 1, max = 100_000))]
    pub nearest: u32,
    /// Playlists with a like title whose tracks count (step 6), at the most. In steps.
    #[serde(deserialize_with = "titled")]
    pub titled: Curve,
    /// From so many seeds on, seeds that say the same are told apart from such as agree (step 2).
    #[schemars(range(min = 1))]
    pub decorrelate_from: u32,
    /// Fewer similar playlists than this are joined by those of other tracks of the seeds' artists (step 3).
    #[schemars(range(min = 0, max = 100_000))]
    pub thin: u32,
    /// Whether similarity is counted again on all tracks read, and votes weighted by the chance of being
    /// sampled (step 4).
    pub recount: bool,
    /// e: a playlist of L tracks counts as L^-e (step 3).
    #[serde(deserialize_with = "length")]
    pub length: Curve,
    /// ρ: the power to which a similarity becomes a vote (step 4).
    #[serde(deserialize_with = "power")]
    pub power: Curve,
    /// ρ where there are more than `large_from` playlists.
    #[serde(deserialize_with = "power")]
    pub power_large: Curve,
    /// β: what being by an artist of the seeds is worth (step 5).
    #[serde(deserialize_with = "artist")]
    pub artist: Curve,
    /// β where there are more than `large_from` playlists.
    #[serde(deserialize_with = "artist")]
    pub artist_large: Curve,
    /// δ: what popularity takes away (step 5), or adds, for a title alone (step 6).
    #[serde(deserialize_with = "popularity")]
    pub popularity: Curve,
    /// b_T: how much more a similar playlist counts if its title is like the one asked for (step 4). In steps.
    #[serde(deserialize_with = "title_votes")]
    pub title_votes: Curve,
    /// θ: what the tracks of playlists with a like title add, beside those of similar ones (step 6). In steps.
    #[serde(deserialize_with = "title_adds")]
    pub title_adds: Curve,
    /// ρ for ten seeds and more that are a random part of a list. A title says nothing then.
    #[serde(deserialize_with = "power")]
    pub random_power: Curve,
    /// The same where there are more than `large_from` playlists.
    #[serde(deserialize_with = "power")]
    pub random_power_large: Curve,
    /// β for ten seeds and more that are a random part of a list.
    #[serde(deserialize_with = "artist")]
    pub random_artist: Curve,
    /// δ for ten seeds and more that are a random part of a list.
    #[serde(deserialize_with = "popularity")]
    pub random_popularity: Curve,
    /// Playlists above which the constants for large collections hold.
    pub large_from: u32,
    /// Tracks of the seeds' artists that a short list is filled with, before popular ones (step 7).
    #[schemars(range(min = 0, max = 10_000))]
    pub artist_fill: u32,
}

/// What holds for one question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// Playlists with a like title.
    pub titled: usize,
    /// e
    pub length: f64,
    /// ρ
    pub power: f64,
    /// β
    pub artist: f64,
    /// δ
    pub popularity: f64,
    /// b_T
    pub title_votes: f64,
    /// θ
    pub title_adds: f64,
}

fn sample<'de, D: Deserializer<'de>>(from: D) -> Result<Curve, D::Error> {
    Curve::whole(from, &(1..=100_000))
}

fn titled<'de, D: Deserializer<'de>>(from: D) -> Result<Curve, D::Error> {
    Curve::whole(from, &(0..=100_000))
}

fn length<'de, D: Deserializer<'de>>(from: D) -> Result<Curve, D::Error> {
    Curve::within(from, &(0.0..=1.0))
}

fn power<'de, D: Deserializer<'de>>(from: D) -> Result<Curve, D::Error> {
    Curve::within(from, &(0.1..=10.0))
}

fn artist<'de, D: Deserializer<'de>>(from: D) -> Result<Curve, D::Error> {
    Curve::within(from, &(0.0..=10.0))
}

fn popularity<'de, D: Deserializer<'de>>(from: D) -> Result<Curve, D::Error> {
    Curve::within(from, &(-1.0..=1.0))
}

fn title_votes<'de, D: Deserializer<'de>>(from: D) -> Result<Curve, D::Error> {
    Curve::within(from, &(0.0..=100.0))
}

fn title_adds<'de, D: Deserializer<'de>>(from: D) -> Result<Curve, D::Error> {
    Curve::within(from, &(0.0..=10.0))
}

/// A curve of the code's own.
const fn curve(points: &[(u32, f64)]) -> Curve {
    match Curve::new(points) {
        Ok(curve) => curve,
        Err(wrong) => panic!("{}", wrong),
    }
}

impl Default for Recommend {
    fn default() -> Self {
        const SAMPLE: Curve = curve(&[(1, 1_000.0), (11, 500.0)]);
        const TITLED: Curve = curve(&[(0, 500.0), (1, 300.0), (5, 200.0)]);
        const LENGTH: Curve = curve(&[(1, 0.3), (5, 0.5)]);
        const POWER: Curve = curve(&[(1, 1.1), (5, 1.4), (10, 1.4), (25, 1.5)]);
        const POWER_LARGE: Curve = curve(&[(1, 1.1), (5, 1.7), (10, 1.8), (25, 2.0)]);
        const ARTIST: Curve = curve(&[(5, 0.7), (10, 0.8), (25, 1.0)]);
        const ARTIST_LARGE: Curve = curve(&[(5, 0.5), (10, 0.6), (25, 1.0)]);
        const POPULARITY: Curve = curve(&[(0, -0.1), (1, 0.0), (5, 0.05)]);
        const TITLE_VOTES: Curve = curve(&[(1, 3.0), (25, 1.0)]);
        const TITLE_ADDS: Curve = curve(&[(0, 1.0), (1, 0.15), (5, 0.05)]);
        Recommend {
            sample: SAMPLE,
            nearest: 500,
            titled: TITLED,
            decorrelate_from: 10,
            thin: 100,
            recount: true,
            length: LENGTH,
            power: POWER,
            power_large: POWER_LARGE,
            artist: ARTIST,
            artist_large: ARTIST_LARGE,
            popularity: POPULARITY,
            title_votes: TITLE_VOTES,
            title_adds: TITLE_ADDS,
            random_power: Curve::constant(1.6),
            random_power_large: Curve::constant(2.2),
            random_artist: Curve::constant(2.0),
            random_popularity: Curve::constant(0.15),
            large_from: 200_000,
            artist_fill: 100,
        }
    }
}

impl Recommend {
    /// Plain playlist-kNN: what all of it is measured against. Weights idf², similarity by the square root of
    /// the length, votes its square, and nothing of artists and titles.
    pub fn plain() -> Self {
        Recommend {
            sample: Curve::constant(500.0),
            decorrelate_from: u32::MAX,
            thin: 0,
            recount: false,
            length: Curve::constant(0.5),
            power: Curve::constant(2.0),
            power_large: Curve::constant(2.0),
            artist: Curve::constant(0.0),
            artist_large: Curve::constant(0.0),
            popularity: Curve::constant(0.0),
            title_votes: Curve::constant(0.0),
            title_adds: Curve::constant(0.0),
            random_power: Curve::constant(2.0),
            random_power_large: Curve::constant(2.0),
            random_artist: Curve::constant(0.0),
            random_popularity: Curve::constant(0.0),
            artist_fill: 0,
            ..Recommend::default()
        }
    }

    /// m, for so many seeds.
    pub fn sample_of(&self, seeds: usize) -> u32 {
        self.sample.step(u32::try_from(seeds).unwrap_or(u32::MAX)) as u32
    }

    /// What holds for so many seeds and playlists. `random`: the seeds are a random part of a list, not its
    /// beginning.
    pub fn constants(&self, seeds: u32, playlists: u32, random: bool) -> Constants {
        let large = playlists > self.large_from;
        let pick = |small: &Curve, of_large: &Curve| if large { of_large.at(seeds) } else { small.at(seeds) };
        let (titled, length) = (self.titled.step(seeds) as usize, self.length.at(seeds));
        if random && seeds >= RANDOM_FROM {
            return Constants {
                titled,
                length,
                power: pick(&self.random_power, &self.random_power_large),
                artist: self.random_artist.at(seeds),
                popularity: self.random_popularity.at(seeds),
                title_votes: 0.0,
                title_adds: 0.0,
            };
        }
        Constants {
            titled,
            length,
            power: pick(&self.power, &self.power_large),
            artist: pick(&self.artist, &self.artist_large),
            popularity: self.popularity.at(seeds),
            title_votes: self.title_votes.step(seeds),
            title_adds: self.title_adds.step(seeds),
        }
    }

    /// Whether anything depends on who made a track.
    pub fn asks_for_artists(&self) -> bool {
        let none = |curve: &Curve| *curve == Curve::constant(0.0);
        let prior = [&self.artist, &self.artist_large, &self.random_artist].into_iter().any(|c| !none(c));
        self.thin > 0 || self.artist_fill > 0 || prior
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tuned constants, row by row, for both sizes.
    #[test]
    fn the_defaults_are_the_table() {
        let knobs = Recommend::default();
        for (seeds, random, length, power, artist, popularity, title_votes, title_adds) in [
            (1, false, 0.3, [1.1, 1.1], [0.7, 0.5], 0.0, 3.0, 0.15),
            (5, false, 0.5, [1.4, 1.7], [0.7, 0.5], 0.05, 3.0, 0.05),
            (10, false, 0.5, [1.4, 1.8], [0.8, 0.6], 0.05, 3.0, 0.05),
            (24, false, 0.5, [1.495_545, 1.991_090], [0.991_090, 0.982_179], 0.05, 3.0, 0.05),
            (25, false, 0.5, [1.5, 2.0], [1.0, 1.0], 0.05, 1.0, 0.05),
            (100, false, 0.5, [1.5, 2.0], [1.0, 1.0], 0.05, 1.0, 0.05),
            (9, true, 0.5, [1.4, 1.784_800], [0.784_800, 0.584_800], 0.05, 3.0, 0.05),
            (10, true, 0.5, [1.6, 2.2], [2.0, 2.0], 0.15, 0.0, 0.0),
            (100, true, 0.5, [1.6, 2.2], [2.0, 2.0], 0.15, 0.0, 0.0),
        ] {
            for (column, playlists) in [(0, 200_000), (1, 200_001)] {
                let there = knobs.constants(seeds, playlists, random);
                let expected = [length, power[column], artist[column], popularity, title_votes, title_adds];
                let there = [
                    there.length,
                    there.power,
                    there.artist,
                    there.popularity,
                    there.title_votes,
                    there.title_adds,
                ];
                let near = there.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6);
                assert!(near, "{seeds} seeds, {playlists} playlists: {there:?}, not {expected:?}");
            }
        }
        assert_eq!([0, 1, 10, 11, 500].map(|seeds| knobs.sample_of(seeds)), [1_000, 1_000, 1_000, 500, 500]);
        let titled = |seeds| knobs.constants(seeds, 1, false).titled;
        assert_eq!([0, 1, 4, 5, 100].map(titled), [500, 300, 300, 200, 200]);
        let none = knobs.constants(0, 1, false);
        assert_eq!((none.popularity, none.title_adds), (-0.1, 1.0));
    }

    #[test]
    fn plain_asks_for_nothing_but_the_seeds() {
        let plain = Recommend::plain();
        for (seeds, random) in [(0, false), (5, false), (50, true)] {
            let constants = plain.constants(seeds, 1_000_000, random);
            let Constants { length, power, artist, popularity, title_votes, title_adds, .. } = constants;
            assert_eq!(
                [length, power, artist, popularity, title_votes, title_adds],
                [0.5, 2.0, 0.0, 0.0, 0.0, 0.0]
            );
        }
        assert_eq!([1, 100].map(|seeds| plain.sample_of(seeds)), [500, 500]);
        assert!(!plain.asks_for_artists());
        assert!(Recommend::default().asks_for_artists());
    }
}
