//! The list as it is given: places taken in their order, with names, as many by one artist as are wanted, and why.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::ranking::{Place, Ranking};
use crate::catalogue::TrackCard;
use crate::ids::{PlaylistId, TrackId};
use crate::query::plan::{Here, cards};
use crate::query::read::ballot::Ballot;
use crate::query::read::evidence::{Evidence, Why};
use crate::query::read::{Found, Read};
use crate::query::{Because, Recommended, Source};

/// Seeds that are named as the reason for one track.
pub const BECAUSE_MAX: usize = 10;
/// With a bound on tracks by one artist, so many times as many are looked at as are wanted.
pub const LOOKED_AT: usize = 64;
/// How many times as many each time.
const MORE: usize = 4;

/// What playlists voted, to be asked why.
pub struct Reasons {
    /// How they did.
    pub ballot: Ballot,
    /// Which did, ascending.
    pub nearest: Vec<(PlaylistId, u64)>,
    /// URIs of the seeds, as far as they are known.
    pub seeds: FxHashMap<TrackId, Box<str>>,
}

/// A list that grows until it is long enough.
pub struct List {
    ranking: Ranking,
    limit: usize,
    max_per_artist: Option<usize>,
    why: Option<Reasons>,
    /// Places that names are asked for.
    places: Vec<Place>,
    /// Places looked at, those included.
    looked_at: usize,
    by_artist: FxHashMap<Box<str>, usize>,
    /// What is taken.
    pub tracks: Vec<Recommended>,
}

impl List {
    /// Empty.
    pub fn new(ranking: Ranking, limit: usize, max_per_artist: Option<usize>, why: Option<Reasons>) -> Self {
        List {
            ranking,
            limit,
            max_per_artist,
            why,
            places: Vec::new(),
            looked_at: 0,
            by_artist: FxHashMap::default(),
            tracks: Vec::new(),
        }
    }

    /// What is to be asked for the next places; nothing once it is long enough, or there are none.
    pub fn ask(&mut self, here: &Here<'_>) -> Vec<(u64, Read)> {
        let most = if self.max_per_artist.is_some() { self.limit * LOOKED_AT } else { self.limit };
        if self.tracks.len() >= self.limit || self.looked_at >= most {
            return Vec::new();
        }
        let first = self.looked_at == 0;
        let until = if first { self.limit } else { (self.looked_at * MORE).min(most) };
        let mut top = self.ranking.top(until, here.views, here.epoch);
        self.places = top.split_off(self.looked_at.min(top.len()));
        self.looked_at = until;
        if self.places.is_empty() {
            return Vec::new();
        }
        let seeds =
            self.why.iter().filter(|_| first).flat_map(|why| why.ballot.seeds.iter().map(|(seed, ..)| *seed));
        let named = self.places.iter().map(|place| place.track).chain(seeds);
        let mut asks = here.start.owners(named, |track| track.0, Read::Cards);
        if let Some(Reasons { ballot, nearest, .. }) = &self.why {
            let tracks = self.voted();
            asks.extend(here.start.owners(
                nearest.iter().copied(),
                |(playlist, _)| playlist.0,
                |nearest| Read::Why(Why { ballot: ballot.clone(), nearest, tracks: tracks.clone() }),
            ));
        }
        asks
    }

    /// Tracks of the places that playlists voted for.
    fn voted(&self) -> Vec<TrackId> {
        let voted = self.places.iter().filter(|place| place.source == Source::Cooccurrence);
        voted.map(|place| place.track).collect()
    }

    /// Takes such of the places as are wanted.
    pub fn take(&mut self, found: Vec<Found>) {
        let (evidence, named): (Vec<Found>, _) = found.into_iter().partition(|f| matches!(f, Found::Why(_)));
        let mut cards = cards(named);
        let mut reasons = self.why.take();
        let mut led = reasons.as_mut().map(|why| why.named(evidence, &self.voted(), &cards));
        for place in std::mem::take(&mut self.places) {
            let Some((track, _)) = cards.remove(&place.track) else { continue };
            if self.tracks.len() == self.limit || !self.is_wanted(&track) {
                continue;
            }
            let because = led.as_mut().map(|led| led.remove(&place.track).unwrap_or_default());
            let share = |(because, part): (Because, u64)| Because {
                share: part as f64 / place.votes.max(1) as f64,
                ..because
            };
            let because = because.map(|all| all.into_iter().map(share).collect());
            self.tracks.push(Recommended { track, score: place.score, source: place.source, because });
        }
        self.why = reasons;
    }

    /// Whether there may be one more by its artist, which is then counted.
    fn is_wanted(&mut self, track: &TrackCard) -> bool {
        let Some((max, artist)) = self.max_per_artist.zip(track.names.artist.as_ref()) else { return true };
        let count = self.by_artist.entry(artist.uri.clone()).or_default();
        *count += 1;
        *count <= max
    }
}

impl Reasons {
    /// For each of the tracks the seeds that led to it, with their part of its votes, most first, ties by id.
    fn named(
        &mut self,
        found: Vec<Found>,
        tracks: &[TrackId],
        cards: &FxHashMap<TrackId, (TrackCard, u32)>,
    ) -> FxHashMap<TrackId, Vec<(Because, u64)>> {
        for (seed, ..) in &self.ballot.seeds {
            cards
                .get(seed)
                .into_iter()
                .for_each(|(card, _)| drop(self.seeds.insert(*seed, card.uri.clone())));
        }
        let (mut of, mut led) = (vec![0; self.ballot.seeds.len()], FxHashMap::default());
        for part in found {
            let Found::Why(Evidence { of: held, pairs }) = part else { continue };
            of.iter_mut().zip(held).for_each(|(of, held)| *of += held);
            for (track, seed, shared, part) in pairs {
                let pair: &mut (u32, u64) = led.entry((track, seed)).or_default();
                *pair = (pair.0 + shared, pair.1 + part);
            }
        }
        let mut by_track: FxHashMap<TrackId, Vec<(u32, u32, u64)>> = FxHashMap::default();
        for ((track, seed), (shared, part)) in led {
            by_track.entry(tracks[track as usize]).or_default().push((seed, shared, part));
        }
        let named = |mut all: Vec<(u32, u32, u64)>| {
            all.sort_unstable_by_key(|(seed, _, part)| (Reverse(*part), *seed));
            let because = |(seed, shared, part): (u32, u32, u64)| {
                let uri = self.seeds.get(&self.ballot.seeds[seed as usize].0)?.clone();
                Some((Because { seed: uri, shared, of: of[seed as usize], share: 0.0 }, part))
            };
            all.into_iter().take(BECAUSE_MAX).filter_map(because).collect()
        };
        by_track.into_iter().map(|(track, all)| (track, named(all))).collect()
    }
}
