//! Steps 5 and 7: the list, and why each track is in it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{Because, Recommended, Source};

use super::super::Twin;
use super::seeds::Seed;
use super::{Asked, Scores, Voter};

impl Twin {
    /// The tracks that got votes, by score, then the fill: all in order.
    fn in_order(&self, asked: &Asked<'_>, scores: &Scores) -> Vec<(TrackId, f64, Source)> {
        let Asked { wanted, sizes, constants, given, unwanted, known, chart, .. } = asked;
        let holding: BTreeMap<TrackId, u32> = chart.iter().map(|(t, n)| (*t, *n as u32)).collect();
        let n = |track: &TrackId| holding.get(track).copied().unwrap_or(0);
        let artists: Vec<String> = known.iter().filter_map(|seed| self.artist(*seed)).collect();
        let c = |track: &TrackId| match self.artist(*track) {
            Some(artist) => artists.iter().filter(|other| **other == artist).count() as u32,
            None => 0,
        };
        let mut cs = BTreeSet::new();
        let mut list = Vec::new();
        for (track, (votes, source)) in scores.tracks.iter().filter(|(t, _)| !unwanted.contains(t)) {
            let prior = if scores.alone {
                constants.prior_alone(n(track), wanted.knobs.is_some())
            } else {
                cs.insert(c(track));
                constants.prior(c(track), n(track))
            };
            list.push((*track, *votes as f64 / scores.total.max(1.0) * prior, *source));
        }
        self.see("tracks by the artists of some seeds only", cs.len() > 1);
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then(n(&b.0).cmp(&n(&a.0))).then(a.0.cmp(&b.0)));

        let mut there: BTreeSet<TrackId> =
            list.iter().map(|(track, ..)| *track).chain(unwanted.iter().copied()).collect();
        let share = |n: u64| n as f64 / f64::from(constants.n.max(1));
        let artists: BTreeSet<String> = given.iter().filter_map(|seed| self.artist(*seed)).collect();
        let by_them = |track| self.artist(track).is_some_and(|artist| artists.contains(&artist));
        let by_artist = chart.iter().filter(|(track, _)| !there.contains(track) && by_them(*track));
        let by_artist: Vec<(TrackId, u64)> = by_artist.take(sizes.artist_fill as usize).copied().collect();
        there.extend(by_artist.iter().map(|(track, _)| *track));
        list.extend(by_artist.into_iter().map(|(track, n)| (track, share(n), Source::Artist)));
        let popular = chart.iter().filter(|(track, _)| !there.contains(track));
        list.extend(popular.map(|(track, n)| (*track, share(*n), Source::Popular)));
        list
    }

    /// The list as it is given.
    pub(super) fn list(
        &self,
        asked: &Asked<'_>,
        seeds: &[Seed],
        voters: &[Voter],
        scores: &Scores,
    ) -> Vec<Recommended> {
        let wanted = asked.wanted;
        let (mut by_artist, mut list) = (BTreeMap::<String, usize>::new(), Vec::new());
        let mut enough = 0;
        for (id, score, source) in self.in_order(asked, scores) {
            if list.len() == wanted.limit {
                break;
            }
            if let (Some(max), Some(artist)) = (wanted.max_per_artist, self.artist(id)) {
                let count = by_artist.entry(artist).or_default();
                *count += 1;
                self.see("enough by an artist", *count > max);
                if *count > max {
                    enough += 1;
                    continue;
                }
            }
            let Some(track) = self.card(id) else { continue };
            let votes = scores.tracks.get(&id).map_or(0, |(votes, _)| *votes);
            let voted = source == Source::Cooccurrence;
            let because = || if voted { self.because(id, votes, seeds, voters) } else { Vec::new() };
            let because = wanted.explain.then(because);
            self.see("many reasons", because.as_ref().is_some_and(|all| all.len() == 10));
            self.see(["similar playlists", "a like title", "an artist", "popularity"][source as usize], true);
            self.see("very many by an artist before it", enough > 64 * wanted.limit);
            list.push(Recommended { track, score, source, because });
        }
        self.see("all there is", list.len() < wanted.limit && enough > 64 * wanted.limit);
        list
    }

    /// Each playlist's vote is its seeds', by their weights: what of a track's votes came from each seed.
    fn because(&self, track: TrackId, votes: u64, seeds: &[Seed], voters: &[Voter]) -> Vec<Because> {
        let mut all = Vec::new();
        for seed in seeds {
            let holds = |p: &PlaylistId, track: TrackId| self.playlists[p].tracks.contains(&track);
            let of = voters.iter().filter(|(p, ..)| holds(p, seed.track)).count() as u32;
            let led = |led: &[(TrackId, u64)]| led.iter().any(|(s, _)| *s == seed.track);
            let for_it = voters.iter().filter(|(p, _, seeds)| led(seeds) && holds(p, track));
            let shared = for_it.clone().filter(|(p, ..)| holds(p, seed.track)).count() as u32;
            let parts: Vec<u64> = for_it
                .map(|(_, vote, led)| {
                    let weights: u64 = led.iter().map(|(_, weight)| weight).sum();
                    let own: u64 =
                        led.iter().filter(|(s, _)| *s == seed.track).map(|(_, weight)| weight).sum();
                    (u128::from(*vote) * u128::from(own) / u128::from(weights.max(1))) as u64
                })
                .collect();
            if !parts.is_empty() {
                let part: u64 = parts.iter().sum();
                all.push((Reverse(part), seed.track, shared, of));
            }
        }
        all.sort_unstable();
        let because = |(Reverse(part), seed, shared, of): (Reverse<u64>, TrackId, u32, u32)| Because {
            seed: self.catalogue[&seed].uri.as_str().into(),
            shared,
            of,
            share: part as f64 / votes.max(1) as f64,
        };
        all.into_iter().take(10).map(because).collect()
    }
}
