//! Recommendations, written from the text of the scoring notes: plain loops over all playlists.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use segue_dataflow::ids::{PlaylistId, TitleId, TrackId};
use segue_dataflow::query::{Because, Recommend, Recommendations, Recommended, Seeds, Source};
use segue_dataflow::sample::{last, level};
use segue_dataflow::scoring::{
    Lengths, MATCH_ONE, Prior, Voting, Wanted, later, seed_weight, stand_in_weight, weigh,
};
use segue_dataflow::settings::Settings;
use segue_dataflow::title;

use super::{Held, Twin, ranked};

/// What a seed is in one question.
struct Seed {
    track: TrackId,
    /// a
    weight: u64,
    level: u32,
    /// A: its sampled playlists, but not the one that asks.
    sample: BTreeSet<PlaylistId>,
}

impl Twin {
    fn artist(&self, track: TrackId) -> Option<String> {
        Some(self.card(track)?.names.artist?.uri.to_string())
    }

    /// Tracks by an artist, of a chart.
    fn made_by(&self, artist: &str, chart: &[(TrackId, u64)]) -> Vec<(TrackId, u64)> {
        let by = |(track, _): &&(TrackId, u64)| self.artist(*track).as_deref() == Some(artist);
        chart.iter().filter(by).copied().collect()
    }

    fn key_of(&self, held: &Held, key: TitleId) -> bool {
        held.title.as_deref().is_some_and(|title| title::keys(title).contains(&key))
    }

    /// Playlists with a title or a word of titles, by id.
    fn titled(&self, key: TitleId) -> Vec<PlaylistId> {
        self.playlists.iter().filter(|(_, held)| self.key_of(held, key)).map(|(id, _)| *id).collect()
    }

    /// Step 2.
    fn weighed(&self, known: &[TrackId], m: u32, but: Option<PlaylistId>) -> Vec<Seed> {
        known
            .iter()
            .map(|seed| {
                let holding = self.holders(*seed).len() as u32;
                Seed {
                    track: *seed,
                    weight: seed_weight(self.playlists.len() as u32, holding),
                    level: level(holding, m),
                    sample: self.sample(*seed, m).into_iter().filter(|p| Some(*p) != but).collect(),
                }
            })
            .collect()
    }

    /// Step 2 for ten seeds and more.
    fn decorrelate(&self, seeds: &mut [Seed], e: f64, ordered: bool) {
        let (first, all) = (seeds.len().saturating_sub(200), seeds.len());
        let told = &seeds[first..];
        let g = |i: usize, j: usize| {
            let both = told[i].sample.intersection(&told[j].sample);
            let sum: u64 = both.map(|p| Lengths::new(e).count(self.playlists[p].tracks.len() as u32)).sum();
            // 1 / min(τ_i, τ_j)
            sum as f64 * (0.5_f64.powi(told[i].level as i32)).min(0.5_f64.powi(told[j].level as i32)).recip()
        };
        let n = told.len();
        let correlation = |i: usize, j: usize| {
            let (own, other) = (g(i, i), g(j, j));
            match (own > 0.0 && other > 0.0, i == j) {
                (true, true) => 2.0,
                (true, false) => g(i, j) / (own * other).sqrt(),
                (false, same) => f64::from(u8::from(same)),
            }
        };
        let row = |i: usize| {
            let own = (0..n).map(|j| correlation(i, j));
            own.chain([later(first + i, all, ordered)]).collect()
        };
        let rows: Vec<Vec<f64>> = (0..n).map(row).collect();
        let squares = |vector: Vec<f64>| vector.into_iter().map(|x| x * x).sum::<f64>();
        let most = squares(rows.iter().map(|row| row[n]).collect()) * (1.0 + 1e-9);
        let sampled = told.iter().any(|seed| seed.level > 0);
        self.see("seeds told apart", true);
        self.see("seeds told apart by samples", sampled);
        let worth = eliminate(rows).filter(|z| squares(z.clone()) <= most).unwrap_or_else(|| vec![1.0; n]);
        for (seed, z) in seeds[first..].iter_mut().zip(worth) {
            seed.weight = weigh(seed.weight, z);
        }
    }

    /// Step 3: for a thin pool, what the playlists of stand-ins weigh.
    fn stand_ins(
        &self,
        seeds: &[Seed],
        all: &BTreeSet<TrackId>,
        but: Option<PlaylistId>,
        chart: &[(TrackId, u64)],
    ) -> BTreeMap<PlaylistId, u64> {
        let mean = seeds.iter().map(|seed| seed.weight).sum::<u64>() as f64 / seeds.len().max(1) as f64;
        let (mut taken, mut weights) = (all.clone(), BTreeMap::new());
        for seed in seeds {
            let Some(artist) = self.artist(seed.track) else { continue };
            let mut chosen = Vec::new();
            for (track, holding) in self.made_by(&artist, chart) {
                if chosen.len() < 5 && holding >= 2 && taken.insert(track) {
                    chosen.push((track, holding));
                } else if chosen.len() == 5 {
                    break;
                }
            }
            for (track, holding) in chosen {
                for playlist in self.holders(track).into_iter().filter(|p| Some(*p) != but).take(100) {
                    *weights.entry(playlist).or_default() += stand_in_weight(mean, holding as u32);
                }
            }
        }
        weights
    }

    pub(super) fn recommend(&self, wanted: &Recommend, settings: &Settings) -> Option<Recommendations> {
        let knobs = wanted.knobs.as_deref().unwrap_or(&settings.recommend);
        let (m, chart) = (knobs.sample, self.chart());
        let (given, but, own_title) = match &wanted.seeds {
            Seeds::Tracks(tracks) => (tracks.clone(), None, None),
            Seeds::Playlist(p) => {
                let held = self.playlists.get(p)?;
                (held.tracks.iter().copied().collect(), Some(*p), held.title.clone())
            }
        };
        let mut distinct = Vec::new();
        given.iter().for_each(|seed| {
            if !distinct.contains(seed) {
                distinct.push(*seed);
            }
        });
        distinct.truncate(500);
        let unwanted: BTreeSet<TrackId> = given.iter().chain(&wanted.exclude).copied().collect();
        let (known, unknown_seeds): (Vec<TrackId>, Vec<TrackId>) =
            distinct.iter().partition(|seed| !self.holders(**seed).is_empty());
        let playlists = self.playlists.len() as u32;
        let k = known.len() as u32;
        let constants = knobs.constants(k, playlists, wanted.random_seeds);
        let lengths = Lengths::new(constants.length);
        let long = |p: &PlaylistId| self.playlists[p].tracks.len() as u32;

        let ordered = matches!(wanted.seeds, Seeds::Tracks(_)) && !wanted.random_seeds;
        let mut seeds = self.weighed(&known, m, but);
        if k >= knobs.decorrelate_from {
            self.decorrelate(&mut seeds, constants.length, ordered);
        }
        let mut sums: BTreeMap<PlaylistId, u64> = BTreeMap::new();
        for id in self.playlists.keys().filter(|id| Some(**id) != but) {
            let held = seeds.iter().filter(|seed| seed.sample.contains(id));
            sums.insert(*id, held.map(|seed| seed.weight).sum());
        }
        sums.retain(|_, sum| *sum > 0);
        if sums.len() < knobs.thin as usize {
            let distinct = distinct.iter().copied().collect();
            let before = sums.len();
            for (playlist, weight) in self.stand_ins(&seeds, &distinct, but, &chart) {
                *sums.entry(playlist).or_default() += weight;
            }
            sums.retain(|_, sum| *sum > 0);
            self.see("a thin pool joined", sums.len() > before);
        }
        self.see("a pool not thin", sums.len() >= knobs.thin as usize && knobs.thin > 0);
        self.see("more similar playlists than are read", sums.len() > knobs.nearest as usize);
        let mut nearest =
            ranked(sums.iter().map(|(p, sum)| (*p, lengths.similarity(*sum, long(p)))).collect());
        nearest.truncate(knobs.nearest as usize);

        // Step 6: T of each playlist; those that are read are found by samples of the keys.
        let title =
            wanted.title.as_deref().map(str::to_owned).filter(|t| !title::keys(t).is_empty()).or(own_title);
        let keys = title.as_deref().map(title::keys).unwrap_or_default();
        let titled = self.playlists.values().filter_map(|h| h.title.as_deref());
        let titled = titled.filter(|title| !title::keys(title).is_empty()).count();
        let like = Wanted::new(&keys, titled as u32, |key| self.titled(key).len() as u32);
        let matches =
            |p: &PlaylistId| self.playlists[p].title.as_deref().map_or(0, |title| like.matches(title));
        let mut found: BTreeMap<PlaylistId, u64> = BTreeMap::new();
        for (key, count) in &like.keys {
            let all = self.titled(*key);
            let end = last(level(all.len() as u32, m));
            for playlist in all.into_iter().filter(|p| p.0 <= end && Some(*p) != but) {
                *found.entry(playlist).or_default() += count;
            }
        }
        let found = found.into_iter().map(|(p, sum)| (p, sum.min(MATCH_ONE))).filter(|(_, sum)| *sum > 0);
        let mut alike = ranked(found.collect());
        alike.truncate(knobs.nearest as usize);

        // Step 4.
        let voting = Voting {
            one: nearest.first().map_or(0, |(_, similarity)| *similarity),
            power: constants.power,
            title: constants.title_votes,
        };
        let (mut acc, mut total) = (BTreeMap::<TrackId, u64>::new(), 0);
        // Who voted how, and the seeds that they hold.
        let mut voters: Vec<(PlaylistId, u64, Vec<&Seed>)> = Vec::new();
        for (playlist, sampled) in &nearest {
            let held: Vec<&Seed> =
                seeds.iter().filter(|seed| self.playlists[playlist].tracks.contains(&seed.track)).collect();
            let (mut similarity, mut halved) = (*sampled, 0);
            if knobs.recount && !held.is_empty() {
                similarity = lengths.similarity(held.iter().map(|seed| seed.weight).sum(), long(playlist));
                halved = held.iter().map(|seed| seed.level).min().unwrap_or(0);
            }
            let vote = voting.vote(similarity, halved, matches(playlist));
            self.see("a similarity counted again", similarity != *sampled);
            self.see("a vote weighted for its sample", halved > 0);
            self.see("a title that counts in a vote", constants.title_votes > 0.0 && matches(playlist) > 0);
            self.see("a title that matches in part", (1..MATCH_ONE).contains(&matches(playlist)));
            total += vote;
            voters.push((*playlist, vote, held));
            self.playlists[playlist].tracks.iter().for_each(|track| *acc.entry(*track).or_default() += vote);
        }
        acc.retain(|_, votes| *votes > 0);
        let mut total = total as f64;
        let mut given = BTreeMap::<TrackId, u64>::new();
        let mut all_matches = 0;
        if constants.title_adds > 0.0 || nearest.is_empty() {
            for (playlist, _) in &alike {
                all_matches += matches(playlist);
                let tracks = self.playlists[playlist].tracks.iter();
                tracks.for_each(|track| *given.entry(*track).or_default() += matches(playlist));
            }
            given.retain(|_, sum| *sum > 0);
        }
        let most = acc.iter().filter(|(track, _)| !known.contains(track)).map(|(_, votes)| *votes).max();
        let most_given = given.values().copied().max().unwrap_or(0);
        let mut prior =
            Prior { artist: constants.artist, popularity: constants.popularity, seeds: k, playlists };
        let mut scores: BTreeMap<TrackId, (u64, Source)> =
            acc.iter().map(|(track, votes)| (*track, (*votes, Source::Cooccurrence))).collect();
        match most {
            _ if given.is_empty() => {}
            Some(most) => {
                total += constants.title_adds * most as f64;
                for (track, sum) in given {
                    let one = constants.title_adds * most as f64 * (sum as f64 / most_given as f64);
                    scores.entry(track).or_insert((0, Source::Title)).0 += one.round() as u64;
                }
                scores.retain(|_, (votes, _)| *votes > 0);
            }
            None => {
                total = all_matches as f64;
                scores.extend(given.into_iter().map(|(track, sum)| (track, (sum, Source::Title))));
                self.see("a title alone", true);
                let alone = knobs.constants(0, playlists, false);
                prior = Prior { artist: 0.0, popularity: alone.popularity, ..prior };
            }
        }

        self.see("seeds at random", wanted.random_seeds && k >= knobs.decorrelate_from);
        self.see("seeds in a list", !wanted.random_seeds && k >= knobs.decorrelate_from);
        self.see("other constants for more playlists", playlists > knobs.large_from);

        // Steps 5 and 7.
        let counts: BTreeMap<TrackId, u64> = chart.iter().copied().collect();
        let n = |track: &TrackId| counts.get(track).copied().unwrap_or(0) as u32;
        let by_artist = |track: &TrackId| {
            let artist = self.artist(*track);
            known.iter().filter(|seed| artist.is_some() && self.artist(**seed) == artist).count() as u32
        };
        let mut list: Vec<(TrackId, f64, Source)> = scores
            .iter()
            .filter(|(track, _)| !unwanted.contains(track))
            .map(|(track, (votes, source))| {
                let score = *votes as f64 / total.max(1.0) * prior.factor(by_artist(track), n(track));
                (*track, score, *source)
            })
            .collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then(n(&b.0).cmp(&n(&a.0))).then(a.0.cmp(&b.0)));
        let share = |holding: u64| holding as f64 / f64::from(playlists.max(1));
        let artists: BTreeSet<String> = if knobs.asks_for_artists() {
            distinct.iter().filter_map(|seed| self.artist(*seed)).collect()
        } else {
            BTreeSet::new()
        };
        let mut filled = 0;
        for (track, holding) in chart.iter().copied() {
            let by = self.artist(track).is_some_and(|artist| artists.contains(&artist));
            let there = list.iter().any(|(other, ..)| *other == track);
            if by && !there && !unwanted.contains(&track) && filled < knobs.artist_fill {
                filled += 1;
                list.push((track, share(holding), Source::Artist));
            }
        }
        for (track, holding) in chart {
            if !unwanted.contains(&track) && !list.iter().any(|(other, ..)| *other == track) {
                list.push((track, share(holding), Source::Popular));
            }
        }
        let because = |track: TrackId, source: Source| {
            let mut all = Vec::new();
            for seed in seeds.iter().filter(|_| source == Source::Cooccurrence) {
                let of: Vec<_> =
                    voters.iter().filter(|(.., held)| held.iter().any(|s| s.track == seed.track)).collect();
                let shared: Vec<_> =
                    of.iter().filter(|(p, ..)| self.playlists[p].tracks.contains(&track)).collect();
                let part = |(_, vote, held): &&&(PlaylistId, u64, Vec<&Seed>)| {
                    let weights: u64 = held.iter().map(|seed| seed.weight).sum();
                    (u128::from(*vote) * u128::from(seed.weight) / u128::from(weights.max(1))) as u64
                };
                if !shared.is_empty() {
                    let parts: u64 = shared.iter().map(part).sum();
                    all.push((Reverse(parts), seed.track, shared.len() as u32, of.len() as u32));
                }
            }
            all.sort_unstable();
            let votes = scores.get(&track).map_or(0, |(votes, _)| *votes).max(1) as f64;
            let named = all.into_iter().take(10).map(|(Reverse(part), seed, shared, of)| Because {
                seed: self.catalogue[&seed].uri.as_str().into(),
                shared,
                of,
                share: part as f64 / votes,
            });
            named.collect()
        };
        self.see("tracks by the artists of some seeds only", {
            let known = list
                .iter()
                .filter(|(.., source)| *source == Source::Cooccurrence)
                .map(|(t, ..)| by_artist(t));
            let counts: BTreeSet<u32> = known.collect();
            counts.len() > 1
        });
        let mut by_artist: BTreeMap<String, usize> = BTreeMap::new();
        let mut tracks = Vec::new();
        for (id, score, source) in list {
            let Some(track) = self.card(id) else { continue };
            if let (Some(max), Some(artist)) = (wanted.max_per_artist, self.artist(id)) {
                let count = by_artist.entry(artist).or_default();
                *count += 1;
                if *count > max {
                    self.see("enough by an artist", tracks.len() < wanted.limit);
                    continue;
                }
            }
            if tracks.len() < wanted.limit {
                let because: Option<Vec<Because>> = wanted.explain.then(|| because(id, source));
                self.see("many reasons", because.as_ref().is_some_and(|all| all.len() == 10));
                let name = ["similar playlists", "a like title", "an artist", "popularity"];
                self.see(name[source as usize], true);
                tracks.push(Recommended { track, score, source, because });
            }
        }
        Some(Recommendations { tracks, unknown_seeds })
    }
}

/// Solves equations, each a row with its right side at the end, by elimination. None if a pivot is not positive.
fn eliminate(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    for i in 0..n {
        if rows[i][i] <= 1e-9 {
            return None;
        }
        let pivot = rows[i].clone();
        for row in rows.iter_mut().skip(i + 1) {
            let times = row[i] / pivot[i];
            row.iter_mut().zip(&pivot).for_each(|(a, b)| *a -= times * b);
        }
    }
    let mut solved = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| rows[i][j] * solved[j]).sum();
        solved[i] = (rows[i][n] - known) / rows[i][i];
    }
    Some(solved)
}
