//! What a worker can be asked to read, and what it finds: pure functions of its views, as-of one epoch.

pub mod ballot;
pub mod evidence;
pub mod holding;
pub mod stand_ins;
pub mod titled;

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::pair::Both;
use super::tally::{SOME_IDS, Tally};
use crate::apply::{Playlist, Totals};
use crate::catalogue::TrackCard;
use crate::day::Day;
use crate::ids::{ArtistId, PlaylistId, TrackId};
use crate::sample;
use crate::views::Views;
use crate::views::parts::PARTS;
use crate::views::trending::Growth;
use ballot::{TRACKS_EACH, Voted, Votes, whole};
use evidence::{Evidence, Why};
use holding::{Held, Holding};
use stand_ins::{First, Holder};
use titled::Titled;

/// Look-ups that are made under one lock. While a worker waits to write, other readers wait behind it: nobody
/// may hold a lock for long.
pub(crate) const LOCKED: usize = 256;

/// What one worker is asked to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Read {
    /// A playlist that lives there.
    Playlist(PlaylistId),
    /// Of its playlists, those in the seeds' samples.
    Holding(Holding),
    /// Of its playlists, those with a like title.
    Titled(Titled),
    /// The artists of tracks that live there.
    Artists(Vec<TrackId>),
    /// Tracks that live there, of these artists, ascending.
    ByArtist(Vec<ArtistId>),
    /// The first of its playlists that hold some tracks.
    First(First),
    /// The tracks of playlists that live there, with their votes.
    Votes(Votes),
    /// Why playlists that live there voted for some tracks.
    Why(Why),
    /// The row of a track that lives there.
    Row(TrackId),
    /// How many of its playlists in the track's sample hold each other track.
    Shared {
        /// Whose sample.
        track: TrackId,
        /// How many playlists the sample has at least.
        sample: u32,
    },
    /// How many of its playlists hold both tracks.
    Both {
        /// Whose sample.
        track: TrackId,
        /// The other one.
        with: TrackId,
        /// How many playlists the sample has at least.
        sample: u32,
    },
    /// The sums over its playlists.
    Totals,
    /// The most popular tracks.
    Popular(usize),
    /// Of its tracks, those whose additions have grown most.
    Grown {
        /// The last day of the window.
        newest: Day,
        /// How long it is.
        days: u16,
        /// How many at the most.
        limit: usize,
    },
    /// Names and popularity of tracks that live there.
    Cards(Vec<TrackId>),
}

/// What a worker found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Found {
    /// The playlist and its tracks, ascending.
    Playlist(Option<(Playlist, Vec<TrackId>)>),
    /// Playlists with the seeds that they hold.
    Holding(Held),
    /// Playlists with how well their titles match.
    Titled(Vec<(PlaylistId, u64)>),
    /// Such of the tracks as have an artist.
    Artists(Vec<(TrackId, ArtistId)>),
    /// The tracks of each artist.
    ByArtist(Vec<(ArtistId, Vec<TrackId>)>),
    /// Playlists with the track that they hold.
    First(Vec<Holder>),
    /// Tracks with what they have got.
    Votes(Voted),
    /// What the playlists hold.
    Why(Evidence),
    /// The row, if there is one.
    Row(Option<FoundRow>),
    /// How many playlists were counted, and in how many each track was.
    Shared(u32, Vec<(TrackId, u64)>),
    /// How many playlists hold both tracks.
    Both(Both),
    /// The sums.
    Totals(Totals),
    /// Tracks with the number of playlists that hold them.
    Popular(Vec<(TrackId, u32)>),
    /// Tracks and how they have grown.
    Grown(Vec<(TrackId, Growth)>),
    /// Such of the tracks as are there, with the number of playlists that hold them.
    Cards(Vec<(TrackId, TrackCard, u32)>),
}

/// A row of the graph.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoundRow {
    /// The epoch as-of which it is exact.
    pub epoch: u64,
    /// How many playlists were counted.
    pub sampled: u32,
    /// The neighbours with how many each shares, best first.
    pub neighbours: Vec<(TrackId, u64)>,
}

impl Read {
    /// Reads it, as-of `epoch`.
    pub fn run(&self, views: &Views, epoch: u64) -> Found {
        match self {
            Read::Playlist(playlist) => Found::Playlist(
                views
                    .owner(*playlist)
                    .playlists
                    .read()
                    .get(playlist, epoch)
                    .map(|card| (Playlist::clone(card), views.by_playlist.values(*playlist, epoch))),
            ),
            Read::Holding(wanted) => Found::Holding(wanted.run(views, epoch)),
            Read::Titled(wanted) => Found::Titled(wanted.run(views, epoch)),
            Read::Artists(tracks) => Found::Artists(stand_ins::artists(views, tracks, epoch)),
            Read::ByArtist(artists) => Found::ByArtist(stand_ins::tracks_by(views, artists, epoch)),
            Read::First(wanted) => Found::First(wanted.run(views, epoch)),
            Read::Votes(wanted) => Found::Votes(wanted.run(views, epoch)),
            Read::Why(wanted) => Found::Why(wanted.run(views, epoch)),
            Read::Row(track) => Found::Row(row(views, *track, epoch)),
            Read::Shared { track, sample } => {
                let last = last_sampled(views, *track, *sample, epoch);
                let counted = counted(views, *track, last, 1, epoch);
                Found::Shared(counted.sampled, counted.shared)
            }
            Read::Both { track, with, sample } => Found::Both(both(views, *track, *with, *sample, epoch)),
            Read::Totals => Found::Totals(totals(views, epoch)),
            Read::Popular(limit) => Found::Popular(views.popularity.write().top(*limit, epoch)),
            Read::Grown { newest, days, limit } => {
                Found::Grown(grown(views, (*newest, *days), *limit, epoch))
            }
            Read::Cards(tracks) => {
                let card = |track: &TrackId| {
                    let card = views.owner(*track).cards.read().get(*track, epoch)?;
                    Some((*track, card, views.popularity.read().of(*track, epoch)))
                };
                Found::Cards(tracks.iter().filter_map(card).collect())
            }
        }
    }
}

/// The sums of all owners.
fn totals(views: &Views, epoch: u64) -> Totals {
    let mut all = Totals::default();
    for books in &*views.books {
        all.add(&books.totals.read().get(&(), epoch).copied().unwrap_or_default());
    }
    all
}

/// The tracks that have grown most. Locks are held for one part of a book at a time.
fn grown(views: &Views, window: (Day, u16), limit: usize, epoch: u64) -> Vec<(TrackId, Growth)> {
    let mut all = Vec::new();
    for books in &*views.books {
        (0..PARTS).for_each(|part| all.extend(books.trending.read().grown(part, window, epoch)));
        all.extend(books.trending.read().grown_else(window, epoch));
    }
    most_grown(all, limit)
}

/// The `limit` most grown of these, each once; ties by id.
pub fn most_grown(mut all: Vec<(TrackId, Growth)>, limit: usize) -> Vec<(TrackId, Growth)> {
    all.sort_unstable_by_key(|(track, growth)| (Reverse(growth.score()), *track));
    all.dedup_by_key(|(track, _)| *track);
    all.truncate(limit);
    all
}

/// The last playlist that the sample of `track` may have.
fn last_sampled(views: &Views, track: TrackId, sample: u32, epoch: u64) -> PlaylistId {
    let holding = views.popularity.read().of(track, epoch);
    PlaylistId(sample::last(sample::level(holding, sample)))
}

/// Counts the playlists of two tracks, which may be one. Removals are simply subtracted.
fn both(views: &Views, track: TrackId, with: TrackId, sample: u32, epoch: u64) -> Both {
    const TRACK: i64 = 1;
    const WITH: i64 = 2;
    let mut wanted = vec![(track, TRACK), (with, WITH)];
    if track == with {
        wanted = vec![(track, TRACK + WITH)];
    }
    wanted.sort_unstable();
    let tracks: Vec<TrackId> = wanted.iter().map(|(track, _)| *track).collect();
    let last = last_sampled(views, track, sample, epoch);
    Tally::with(SOME_IDS, |held| {
        views
            .by_track
            .find(&tracks, |_| PlaylistId(u64::MAX))
            .updates(epoch, |i, playlist, diff| held.add(playlist.0, wanted[i].1 * i64::from(diff)));
        let mut all = Both::default();
        for (playlist, held) in held.iter() {
            let (both, sampled) = (held as i64 == TRACK + WITH, PlaylistId(playlist) <= last);
            all.shared += u32::from(both);
            all.sample_shared += u32::from(both && sampled);
            all.sample += u32::from(held as i64 & TRACK > 0 && sampled);
        }
        all
    })
}

/// The row of a track. A step of the graph that has ended may be newer than the question.
fn row(views: &Views, track: TrackId, as_of: u64) -> Option<FoundRow> {
    let epoch = Some(views.graph).filter(|epoch| *epoch <= as_of)?;
    let row = views.owner(track).rows.read().get(&track, epoch).cloned()?;
    let neighbours = row.neighbours().map(|(other, shared)| (other, shared.into())).collect();
    Some(FoundRow { epoch, sampled: row.sampled(), neighbours })
}

/// What a track's playlists hold.
pub(crate) struct Counted {
    /// How many of them were read.
    pub sampled: u32,
    /// How many entries they have.
    pub visited: usize,
    /// Other tracks, and how many of them hold each.
    pub shared: Vec<(TrackId, u64)>,
}

/// Counts the track's playlists up to `last`, for tracks that so many hold at `least`.
pub(crate) fn counted(views: &Views, track: TrackId, last: PlaylistId, least: u64, epoch: u64) -> Counted {
    let mut sampled = Vec::new();
    views.by_track.pass().read_while(track, epoch, |playlist| {
        let is_sampled = playlist <= last;
        sampled.extend(is_sampled.then_some(playlist));
        is_sampled
    });
    let finds = views.by_playlist.find(&sampled, whole);
    let mut visited = 0;
    let shared = Tally::with(TRACKS_EACH * sampled.len(), |sums| {
        finds.updates(epoch, |_, other, diff| {
            visited += 1;
            sums.add(other.0, diff.into());
        });
        let others = sums.iter().filter(|(other, count)| *count >= least && *other != track.0);
        others.map(|(other, count)| (TrackId(other), count)).collect()
    });
    Counted { sampled: sampled.len() as u32, visited, shared }
}
