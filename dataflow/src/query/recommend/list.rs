//! The list as it is given: places taken in their order, with names, as many by one artist as are wanted, and why.

use std::cmp::Reverse;

use rustc_hash::{FxHashMap, FxHashSet};

use super::ranking::{Place, Ranking};
use crate::catalogue::TrackCard;
use crate::ids::{ArtistId, PlaylistId, TrackId};
use crate::query::plan::{Here, cards};
use crate::query::read::ballot::Ballot;
use crate::query::read::evidence::{Evidence, Why};
use crate::query::read::{Found, Read};
use crate::query::{Because, Recommended, Source};
use crate::scoring::StandIn;

/// Seeds that are named as the reason for one track.
pub const BECAUSE_MAX: usize = 10;
/// How many times as many places are ranked each time.
const MORE: usize = 4;
/// After so many times as many as are wanted, all are; and so many are named at once.
const RANKED: usize = 64;

/// What playlists voted, to be asked why.
pub struct Reasons {
    /// How they did.
    pub ballot: Ballot,
    /// What stood in for seeds.
    pub stand_ins: Vec<StandIn>,
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
    /// The first `until` places, or as many as there are.
    ranked: Vec<Place>,
    until: usize,
    /// How many of them have been looked at.
    looked_at: usize,
    /// Those that names are asked for.
    places: Vec<Place>,
    by_artist: FxHashMap<ArtistId, usize>,
    /// Artists of whom there are enough, and whose tracks are not asked for yet.
    enough: Vec<ArtistId>,
    /// Tracks by the others of whom there are.
    too_many: FxHashSet<TrackId>,
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
            ranked: Vec::new(),
            until: 0,
            looked_at: 0,
            places: Vec::new(),
            by_artist: FxHashMap::default(),
            enough: Vec::new(),
            too_many: FxHashSet::default(),
            tracks: Vec::new(),
        }
    }

    /// What is to be asked for the next places; nothing once it is long enough, or there are none.
    pub fn ask(&mut self, here: &Here<'_>) -> Vec<(u64, Read)> {
        let first = self.until == 0;
        if self.tracks.len() < self.limit {
            self.look_further(here);
        }
        if self.places.is_empty() {
            return Vec::new();
        }
        let seeds =
            self.why.iter().filter(|_| first).flat_map(|why| why.ballot.seeds.iter().map(|(seed, ..)| *seed));
        let named = self.places.iter().map(|place| place.track).chain(seeds);
        let mut asks = here.start.owners(named, |track| track.0, Read::Cards);
        if let Some(Reasons { ballot, stand_ins, nearest, .. }) = &self.why {
            let tracks = self.voted();
            asks.extend(here.start.owners(
                nearest.iter().copied(),
                |(playlist, _)| playlist.0,
                |nearest| {
                    let (ballot, stand_ins, tracks) = (ballot.clone(), stand_ins.clone(), tracks.clone());
                    Read::Why(Why { ballot, stand_ins, nearest, tracks })
                },
            ));
        }
        // To look at them one by one takes longer by now.
        if self.until == usize::MAX && !self.enough.is_empty() {
            let mut enough = std::mem::take(&mut self.enough);
            enough.sort_unstable();
            asks.extend(here.start.everyone(&Read::ByArtist(enough)));
        }
        asks
    }

    /// Finds the next places that names are to be asked for.
    fn look_further(&mut self, here: &Here<'_>) {
        let piece = self.limit.saturating_mul(RANKED);
        loop {
            let rest = &self.ranked[self.looked_at..];
            let wanted = rest.iter().zip(1..).filter(|(place, _)| !self.too_many.contains(&place.track));
            let (places, ends): (Vec<Place>, Vec<usize>) = wanted.take(piece).unzip();
            self.looked_at +=
                if places.len() < piece { rest.len() } else { ends.last().copied().unwrap_or(0) };
            self.places = places;
            if !self.places.is_empty() || self.ranked.len() < self.until {
                return;
            }
            self.until = match self.until {
                0 => self.limit,
                some if some < piece => some * MORE,
                _ => usize::MAX,
            };
            self.ranked = self.ranking.top(self.until, here.views, here.epoch);
        }
    }

    /// Tracks of the places that playlists voted for.
    fn voted(&self) -> Vec<TrackId> {
        let voted = self.places.iter().filter(|place| place.source == Source::Cooccurrence);
        voted.map(|place| place.track).collect()
    }

    /// Takes such of the places as are wanted.
    pub fn take(&mut self, found: Vec<Found>) {
        let (mut evidence, mut named) = (Vec::new(), Vec::new());
        for found in found {
            match found {
                Found::Why(part) => evidence.push(part),
                Found::ByArtist(all) => self.too_many.extend(all.into_iter().flat_map(|(_, tracks)| tracks)),
                found => named.push(found),
            }
        }
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
        let artist = ArtistId::of(&artist.uri);
        let count = self.by_artist.entry(artist).or_default();
        *count += 1;
        if *count == max {
            self.enough.push(artist);
        }
        *count <= max
    }
}

impl Reasons {
    /// For each of the tracks the seeds that led to it, with their part of its votes, most first, ties by id.
    fn named(
        &mut self,
        found: Vec<Evidence>,
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
        for Evidence { of: held, pairs } in found {
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
