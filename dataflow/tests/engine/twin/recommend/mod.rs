//! Recommendations, written from the text of docs/scoring.md: plain loops over all playlists, with formulas of
//! their own. Of the engine's there are only the sizes that a test sets: m, k, how many playlists with a like title are
//! read, from when on seeds are told apart, what a thin pool is, when there are many playlists, how many tracks of
//! artists fill a list.

mod formulas;
mod list;
mod seeds;
mod titles;

use std::collections::{BTreeMap, BTreeSet};

use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{Recommend, Recommendations, Seeds, Source};
use segue_dataflow::settings::{self, Settings};

use super::{Twin, ranked};
use formulas::{Constants, MATCH, similarity, stand_in};
use seeds::Seed;
use titles::Title;

/// One question, as far as it is understood.
struct Asked<'a> {
    wanted: &'a Recommend,
    sizes: &'a settings::Recommend,
    constants: Constants,
    /// Distinct, 500 at most.
    given: Vec<TrackId>,
    /// All that is given or excluded.
    unwanted: BTreeSet<TrackId>,
    /// Those that some playlist holds.
    known: Vec<TrackId>,
    /// The playlist that asks.
    but: Option<PlaylistId>,
    /// All tracks that playlists hold, with how many, most first.
    chart: Vec<(TrackId, u64)>,
}

/// Who voted how, with the seeds that led there and what each weighed.
type Voter = (PlaylistId, u64, Vec<(TrackId, u64)>);

/// A track that stands in for a seed, what its playlists weigh, and the seed.
type StandIn = (TrackId, u64, TrackId);

/// What tracks have got.
struct Scores {
    tracks: BTreeMap<TrackId, (u64, Source)>,
    /// What a track has that got all there was.
    total: f64,
    /// Whether that was for the title alone.
    alone: bool,
}

impl Twin {
    fn artist(&self, track: TrackId) -> Option<String> {
        Some(self.card(track)?.names.artist?.uri.to_string())
    }

    fn length(&self, playlist: &PlaylistId) -> usize {
        self.playlists[playlist].tracks.len()
    }

    pub(super) fn recommend(&self, wanted: &Recommend, settings: &Settings) -> Option<Recommendations> {
        let sizes = wanted.knobs.as_deref().unwrap_or(&settings.recommend);
        let (tracks, but, own_title) = match &wanted.seeds {
            Seeds::Tracks(tracks) => (tracks.clone(), None, None),
            Seeds::Playlist(p) => {
                let held = self.playlists.get(p)?;
                (held.tracks.iter().copied().collect(), Some(*p), held.title.as_deref())
            }
        };
        let mut there = BTreeSet::new();
        let mut given: Vec<TrackId> = tracks.iter().copied().filter(|track| there.insert(*track)).collect();
        self.see("more seeds than are looked at", given.len() > 500);
        given.truncate(500);
        let unwanted = there.into_iter().chain(wanted.exclude.iter().copied()).collect();
        let (known, unknown_seeds): (Vec<TrackId>, Vec<TrackId>) =
            given.iter().partition(|seed| !self.holders(**seed).is_empty());
        let (k, n) = (known.len() as u32, self.playlists.len() as u32);
        let (large, plain) = (n > sizes.large_from, wanted.knobs.is_some());
        self.see("other constants for more playlists", large && k > 0);
        self.see("seeds at random", wanted.random_seeds && k >= 10);
        self.see("seeds in a list", !wanted.random_seeds && k >= 10);
        let m = sizes.sample_of(given.len());
        let constants = Constants::new(k, n, large, wanted.random_seeds, plain);
        let asked = Asked { wanted, sizes, constants, given, unwanted, known, but, chart: self.chart() };

        let mut seeds = self.weighed(&asked.known, m, but);
        if k >= sizes.decorrelate_from {
            let ordered = matches!(wanted.seeds, Seeds::Tracks(_)) && !wanted.random_seeds;
            self.decorrelate(&mut seeds, asked.constants.row.e, ordered);
        }
        let (nearest, stand_ins) = self.candidates(&asked, &seeds);
        let title = wanted.title.as_deref().and_then(Title::new).or(own_title.and_then(Title::new));
        let title = title.map(|title| self.asked(title));
        let matches = title.as_ref().map(|title| self.alike(title)).unwrap_or_default();
        let voters = self.votes(&asked, (&seeds, &stand_ins), &nearest, &matches);
        let titled = sizes.titled.step(k) as u32;
        let titled = title.map(|title| self.alike_read(&title, m, titled, but));
        let scores = self.scores(&asked, &voters, &titled.unwrap_or_default(), &matches);
        let tracks = self.list(&asked, &seeds, &voters, &scores);
        Some(Recommendations { tracks, unknown_seeds })
    }

    /// Step 3: the k best, with σ̂; and what stands in for seeds.
    fn candidates(&self, asked: &Asked<'_>, seeds: &[Seed]) -> (Vec<(PlaylistId, u64)>, Vec<StandIn>) {
        let Asked { sizes, constants, but, .. } = asked;
        let mut stand_ins = Vec::new();
        let mut sums: BTreeMap<PlaylistId, u64> = BTreeMap::new();
        for seed in seeds {
            seed.sample.iter().for_each(|p| *sums.entry(*p).or_default() += seed.weight);
        }
        sums.retain(|_, sum| *sum > 0);
        if sums.len() < sizes.thin as usize {
            let before = sums.len();
            stand_ins = self.stand_ins(asked, seeds);
            for (track, weight, _) in &stand_ins {
                let holders = self.holders(*track).into_iter().filter(|p| Some(*p) != *but);
                holders.take(100).for_each(|p| *sums.entry(p).or_default() += weight);
            }
            sums.retain(|_, sum| *sum > 0);
            self.see("a thin pool joined", sums.len() > before);
        }
        self.see("a pool not thin", sums.len() >= sizes.thin as usize && sizes.thin > 0);
        self.see("more similar playlists than are read", sums.len() > sizes.nearest as usize);
        let similar = |(p, sum): (PlaylistId, u64)| (p, similarity(sum, self.length(&p), constants.row.e));
        let mut nearest = ranked(sums.into_iter().map(similar).collect());
        nearest.truncate(sizes.nearest as usize);
        (nearest, stand_ins)
    }

    /// Step 3: what stands in for the seeds of a thin pool.
    fn stand_ins(&self, asked: &Asked<'_>, seeds: &[Seed]) -> Vec<StandIn> {
        let mean = seeds.iter().map(|seed| seed.weight as f64).sum::<f64>() / seeds.len().max(1) as f64;
        let mut taken: BTreeSet<TrackId> = asked.given.iter().copied().collect();
        let mut all = Vec::new();
        for (seed, artist) in seeds.iter().filter_map(|seed| Some((seed.track, self.artist(seed.track)?))) {
            let common = asked.chart.iter().filter(|(_, n)| *n >= 2);
            let free = common.filter(|(track, _)| self.artist(*track).as_ref() == Some(&artist));
            let chosen: Vec<_> = free.filter(|(track, _)| !taken.contains(track)).take(5).copied().collect();
            for (track, n) in chosen {
                taken.insert(track);
                all.push((track, stand_in(mean, n), seed));
            }
        }
        all
    }

    /// Step 4.
    fn votes(
        &self,
        asked: &Asked<'_>,
        (seeds, stand_ins): (&[Seed], &[StandIn]),
        nearest: &[(PlaylistId, u64)],
        matches: &BTreeMap<PlaylistId, u64>,
    ) -> Vec<Voter> {
        let Asked { sizes, constants, .. } = asked;
        let greatest = nearest.first().map_or(0, |(_, sampled)| *sampled);
        let vote = |(playlist, sampled): &(PlaylistId, u64)| {
            let holds = |seed: &&Seed| self.playlists[playlist].tracks.contains(&seed.track);
            let held: Vec<&Seed> = seeds.iter().filter(holds).collect();
            let (mut sigma, mut halved) = (*sampled, 0);
            if let Some(least) = held.iter().map(|seed| seed.halved).min().filter(|_| sizes.recount) {
                let weights = held.iter().map(|seed| seed.weight).sum();
                (sigma, halved) = (similarity(weights, self.length(playlist), constants.row.e), least);
            }
            let t = matches.get(playlist).copied().unwrap_or(0);
            self.see("a similarity counted again", sigma != *sampled);
            self.see("a vote weighted for its sample", halved > 0);
            self.see("a title that counts in a vote", constants.row.b_t > 0.0 && t > 0);
            self.see("a title that matches in part", (1..MATCH).contains(&t));
            let mut led: Vec<_> = held.iter().map(|seed| (seed.track, seed.weight)).collect();
            if led.is_empty() {
                let there = stand_ins.iter().filter(|(x, ..)| self.playlists[playlist].tracks.contains(x));
                led = there.map(|(_, weight, seed)| (*seed, *weight)).collect();
                self.see("a playlist that only a stand-in led to", true);
            }
            (*playlist, constants.vote(sigma, greatest, halved, t), led)
        };
        nearest.iter().map(vote).collect()
    }

    /// Step 4's sums, and what step 6 adds to them.
    fn scores(
        &self,
        asked: &Asked<'_>,
        voters: &[Voter],
        titled: &[PlaylistId],
        matches: &BTreeMap<PlaylistId, u64>,
    ) -> Scores {
        let (mut acc, mut v) = (BTreeMap::<TrackId, u64>::new(), BTreeMap::<TrackId, u64>::new());
        for (playlist, vote, _) in voters {
            self.playlists[playlist].tracks.iter().for_each(|t| *acc.entry(*t).or_default() += vote);
        }
        acc.retain(|_, votes| *votes > 0);
        for playlist in titled {
            self.playlists[playlist]
                .tracks
                .iter()
                .for_each(|t| *v.entry(*t).or_default() += matches[playlist]);
        }
        let mut tracks: BTreeMap<_, _> =
            acc.iter().map(|(track, votes)| (*track, (*votes, Source::Cooccurrence))).collect();
        let mut total = voters.iter().map(|(_, vote, _)| vote).sum::<u64>() as f64;
        let others = acc.iter().filter(|(track, _)| !asked.known.contains(track));
        let (max_acc, max_v) = (others.map(|(_, votes)| *votes).max(), v.values().copied().max());
        let theta = asked.constants.row.theta;
        // Where there is θ, or nobody to vote.
        let Some(max_v) = max_v.filter(|_| theta > 0.0 || voters.is_empty()) else {
            return Scores { tracks, total, alone: false };
        };
        let Some(max_acc) = max_acc else {
            self.see("a title alone", true);
            tracks.extend(v.into_iter().map(|(track, sum)| (track, (sum, Source::Title))));
            let total = titled.iter().map(|p| matches[p]).sum::<u64>() as f64;
            return Scores { tracks, total, alone: true };
        };
        total += theta * max_acc as f64;
        for (track, sum) in v {
            let more = (theta * max_acc as f64 * sum as f64 / max_v as f64).round() as u64;
            tracks.entry(track).or_insert((0, Source::Title)).0 += more;
        }
        tracks.retain(|_, (votes, _)| *votes > 0);
        Scores { tracks, total, alone: false }
    }
}
