//! The votes of the nearest playlists, and the tracks that they are for.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::LOCKED;
use super::holding::Masks;
use super::titled::matches;
use crate::ids::{PlaylistId, TrackId};
use crate::query::tally::Tally;
use crate::scoring::{Got, Lengths, Voting, Wanted};
use crate::views::Views;
use crate::views::trace::Finds;

/// How playlists vote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ballot {
    /// Seeds, ascending, each with its weight, and how often its sample was halved.
    pub seeds: Vec<(TrackId, u64, u32)>,
    /// Whether similarity is counted again on all tracks.
    pub recount: bool,
    /// e
    pub length: f64,
    /// From similarity to vote.
    pub voting: Voting,
    /// The title asked for.
    pub title: Wanted,
}

/// Playlists that live with one worker, and how they vote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Votes {
    /// How.
    pub ballot: Ballot,
    /// Those nearest to the seeds, ascending, with their similarity as far as samples tell.
    pub nearest: Vec<(PlaylistId, u64)>,
    /// Those with a like title, ascending.
    pub titled: Vec<PlaylistId>,
}

/// What tracks have got.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Voted {
    /// Each once.
    pub tracks: Vec<Got>,
    /// The votes of all playlists that vote, once each.
    pub total: u64,
    /// The matches of all playlists with a like title, once each.
    pub matches: u64,
}

impl Voted {
    /// What tracks have got from all of them.
    pub fn sum(mut parts: Vec<Voted>) -> Voted {
        if parts.len() <= 1 {
            return parts.pop().unwrap_or_default();
        }
        let mut all = Voted::default();
        let mut sums: FxHashMap<TrackId, Got> = FxHashMap::default();
        for part in parts {
            all.total += part.total;
            all.matches += part.matches;
            for Got { track, votes, matches } in part.tracks {
                let sum = sums.entry(track).or_insert(Got { track, votes: 0, matches: 0 });
                sum.votes += votes;
                sum.matches += matches;
            }
        }
        all.tracks = sums.into_values().collect();
        all
    }
}

/// Some tracks, to be found among many others.
pub struct Known {
    numbers: FxHashMap<TrackId, usize>,
    /// A bit for what one of them has in its lowest bits.
    filter: [u64; 64],
}

impl Known {
    /// These, numbered from 0.
    pub fn new<'a>(tracks: impl Iterator<Item = &'a TrackId>) -> Self {
        let mut known = Known { numbers: FxHashMap::default(), filter: [0; 64] };
        for (track, number) in tracks.zip(0..) {
            known.filter[(track.0 >> 6) as usize % 64] |= 1 << (track.0 % 64);
            known.numbers.insert(*track, number);
        }
        known
    }

    /// The number of a track, if it is one of them.
    #[inline]
    pub fn number(&self, track: TrackId) -> Option<usize> {
        let maybe = self.filter[(track.0 >> 6) as usize % 64] >> (track.0 % 64) & 1 == 1;
        if maybe { self.numbers.get(&track).copied() } else { None }
    }
}

/// Which of some tracks each of so many playlists holds, by their numbers.
pub fn held<'a>(
    playlists: &Finds<'_, PlaylistId, TrackId>,
    number: usize,
    tracks: impl ExactSizeIterator<Item = &'a TrackId>,
    epoch: u64,
) -> Masks {
    let mut held = Masks::empty(number, tracks.len());
    if tracks.len() == 0 {
        return held;
    }
    let known = Known::new(tracks);
    playlists.updates(epoch, |i, track, diff| {
        known.number(track).into_iter().for_each(|number| held.flip(i, number, diff));
    });
    held
}

impl Ballot {
    /// The seeds that each of so many playlists holds.
    pub fn held(&self, playlists: &Finds<'_, PlaylistId, TrackId>, number: usize, epoch: u64) -> Masks {
        held(playlists, number, self.seeds.iter().map(|(seed, ..)| seed), epoch)
    }

    /// The vote of each of these playlists. With what they hold, similarity is counted again.
    pub fn votes(
        &self,
        views: &Views,
        nearest: &[(PlaylistId, u64)],
        held: Option<&Masks>,
        epoch: u64,
    ) -> Vec<u64> {
        let lengths = Lengths::new(self.length);
        let asked = self.voting.title > 0.0 && !self.title.keys.is_empty();
        let matches = asked.then(|| matches(views, &self.title, &ids(nearest), epoch));
        let mut votes = Vec::with_capacity(nearest.len());
        for (some, from) in nearest.chunks(LOCKED).zip((0..).step_by(LOCKED)) {
            let books: Vec<_> = views.books.iter().map(|books| books.playlists.read()).collect();
            votes.extend(some.iter().zip(from..).map(|((playlist, sampled), i)| {
                let known = books[(playlist.0 % books.len() as u64) as usize].get(playlist, epoch);
                let seeds = || {
                    held.into_iter().flat_map(move |held| held.numbers(i)).map(|number| self.seeds[number])
                };
                let weights: u64 = seeds().map(|(_, weight, _)| weight).sum();
                let level = seeds().map(|(_, _, level)| level).min();
                let similarity = match level {
                    Some(_) => lengths.similarity(weights, known.map_or(0, |known| known.entries)),
                    None => *sampled,
                };
                self.voting.vote(similarity, level.unwrap_or(0), matches.as_ref().map_or(0, |all| all[i]))
            }));
        }
        votes
    }
}

impl Votes {
    /// Counts them. All sums are linear in entries, so removals are simply subtracted.
    pub fn run(&self, views: &Views, epoch: u64) -> Voted {
        let nearest = views.by_playlist.find(&ids(&self.nearest), whole);
        let held = self.ballot.recount.then(|| self.ballot.held(&nearest, self.nearest.len(), epoch));
        let votes = self.ballot.votes(views, &self.nearest, held.as_ref(), epoch);
        let titled = views.by_playlist.find(&self.titled, whole);
        let matches = matches(views, &self.ballot.title, &self.titled, epoch);
        Voted {
            tracks: tracks_of((&nearest, &votes), (&titled, &matches), epoch),
            total: votes.iter().sum(),
            matches: matches.iter().sum(),
        }
    }
}

/// Playlists without what they got.
pub fn ids(playlists: &[(PlaylistId, u64)]) -> Vec<PlaylistId> {
    playlists.iter().map(|(playlist, _)| *playlist).collect()
}

/// The last track that is wanted of a playlist: all are.
pub fn whole(_place: usize) -> TrackId {
    TrackId(u64::MAX)
}

/// Tracks of a playlist, about: room for all of them costs less than to grow.
pub const TRACKS_EACH: usize = 64;

/// Playlists, and what each gives to its tracks.
type Giving<'a> = (&'a Finds<'a, PlaylistId, TrackId>, &'a [u64]);

/// What tracks get from playlists that vote, and from playlists with a like title.
fn tracks_of((nearest, votes): Giving<'_>, (titled, matches): Giving<'_>, epoch: u64) -> Vec<Got> {
    Tally::with(TRACKS_EACH * (votes.len() + matches.len()), |sums| {
        nearest.updates(epoch, |i, track, diff| sums.add(track.0, votes[i] as i64 * i64::from(diff)));
        // No list of zeros for the matches: one as long as this the allocator gets from the system, page by page, and
        // other threads are interrupted meanwhile.
        let voted = |(track, votes): &(u64, i64)| Got {
            track: TrackId(*track),
            votes: votes.unsigned_abs(),
            matches: 0,
        };
        let mut got: Vec<Got> = sums.all().iter().map(voted).collect();
        titled.updates(epoch, |i, track, diff| {
            let place = sums.place(track.0);
            if place == got.len() {
                got.push(Got { track, votes: 0, matches: 0 });
            }
            let sum = &mut got[place].matches;
            // A removal may come before the insertion that it cancels.
            *sum = sum.wrapping_add_signed(matches[i] as i64 * i64::from(diff));
        });
        got.retain(|got| got.votes > 0 || got.matches > 0);
        got
    })
}
