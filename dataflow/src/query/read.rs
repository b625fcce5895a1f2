//! What a worker can be asked to read, and what it finds: pure functions of its views, as-of one epoch.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::pair::Both;
use super::tally::Tally;
use crate::apply::{Playlist, Totals};
use crate::catalogue::TrackCard;
use crate::day::Day;
use crate::ids::{PlaylistId, TitleId, TrackId};
use crate::sample;
use crate::scoring::{best, seed_weight, vote};
use crate::views::Views;
use crate::views::parts::PARTS;
use crate::views::trending::Growth;

/// Look-ups that are made under one lock. While a worker waits to write, other readers wait behind it: nobody
/// may hold a lock for long.
pub(crate) const LOCKED: usize = 256;

/// What one worker is asked to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Read {
    /// A playlist that lives there.
    Playlist(PlaylistId),
    /// Of its playlists, those most similar to the seeds.
    Nearest(Nearest),
    /// The tracks of these playlists (ascending, all living there), each with its playlists' votes.
    Votes(Vec<(PlaylistId, u64)>),
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

/// Which playlists are nearest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nearest {
    /// Seeds, ascending.
    pub seeds: Vec<TrackId>,
    /// Counts if no playlist holds any seed.
    pub title: Option<TitleId>,
    /// Playlists read per seed, at least.
    pub sample: u32,
    /// How many playlists are wanted.
    pub nearest: usize,
    /// The playlist that the seeds are from: it is not its own neighbour.
    pub but: Option<PlaylistId>,
}

/// What a worker found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Found {
    /// The playlist and its tracks, ascending.
    Playlist(Option<(Playlist, Vec<TrackId>)>),
    /// Playlists with their votes.
    Nearest(Vec<(PlaylistId, u64)>),
    /// Tracks with the sum of their votes.
    Votes(Vec<(TrackId, u64)>),
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
            Read::Nearest(wanted) => Found::Nearest(wanted.run(views, epoch)),
            Read::Votes(playlists) => Found::Votes(votes(views, playlists, epoch)),
            Read::Row(track) => Found::Row(row(views, *track, epoch)),
            Read::Shared { track, sample } => {
                let last = last_sampled(views, *track, *sample, epoch);
                let (sampled, shared) = counted(views, *track, last, epoch);
                Found::Shared(sampled, shared)
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

impl Nearest {
    /// Sums up the seeds' weights over the playlists in their samples; for a title, takes the playlists
    /// with the smallest ids, one vote each.
    fn run(&self, views: &Views, epoch: u64) -> Vec<(PlaylistId, u64)> {
        let (mut wanted, mut weights) = (Vec::new(), Vec::new());
        {
            let popularity = views.popularity.read();
            let playlists = popularity.playlists(epoch);
            for seed in &self.seeds {
                let holding = popularity.of(*seed, epoch);
                if holding > 0 {
                    wanted.push((*seed, PlaylistId(sample::last(sample::level(holding, self.sample)))));
                    weights.push(seed_weight(playlists, holding) as i64);
                }
            }
        }
        let sums: Vec<(u64, u64)> = Tally::with(|sums| {
            views.by_track.updates(&wanted.iter().copied(), epoch, |i, playlist, diff| {
                sums.add(playlist.0, weights[i] * i64::from(diff));
            });
            sums.iter().filter(|(id, _)| Some(PlaylistId(*id)) != self.but).collect()
        });
        let mut found = Vec::with_capacity(sums.len());
        for some in sums.chunks(LOCKED) {
            let books: Vec<_> = views.books.iter().map(|books| books.playlists.read()).collect();
            found.extend(some.iter().filter_map(|(id, sum)| {
                let playlist = PlaylistId(*id);
                let entries = books[(id % books.len() as u64) as usize].get(&playlist, epoch)?.entries;
                Some((playlist, vote(*sum, entries))).filter(|(_, vote)| *vote > 0)
            }));
        }
        if let (true, Some(title)) = (wanted.is_empty(), self.title) {
            let titled = views.by_title.values(title, epoch);
            found.extend(titled.into_iter().filter(|p| Some(*p) != self.but).map(|playlist| (playlist, 1)));
        }
        best(found, self.nearest)
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

/// The votes of the playlists' tracks. Linear in entries, so removals are simply subtracted.
fn votes(views: &Views, playlists: &[(PlaylistId, u64)], epoch: u64) -> Vec<(TrackId, u64)> {
    let keys = playlists.iter().map(|(playlist, _)| (*playlist, TrackId(u64::MAX)));
    Tally::with(|sums| {
        views.by_playlist.updates(&keys, epoch, |i, track, diff| {
            sums.add(track.0, playlists[i].1 as i64 * i64::from(diff));
        });
        sums.iter().map(|(track, votes)| (TrackId(track), votes)).collect()
    })
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
    let (keys, last) = (
        wanted.iter().map(|(track, _)| (*track, PlaylistId(u64::MAX))),
        last_sampled(views, track, sample, epoch),
    );
    Tally::with(|held| {
        views
            .by_track
            .updates(&keys, epoch, |i, playlist, diff| held.add(playlist.0, wanted[i].1 * i64::from(diff)));
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

/// How many of the track's playlists up to `last` there are, and how many of them hold each other track.
pub(crate) fn counted(
    views: &Views,
    track: TrackId,
    last: PlaylistId,
    epoch: u64,
) -> (u32, Vec<(TrackId, u64)>) {
    let mut sampled = views.by_track.values(track, epoch);
    sampled.truncate(sampled.partition_point(|playlist| *playlist <= last));
    let playlists: Vec<(PlaylistId, u64)> = sampled.into_iter().map(|playlist| (playlist, 1)).collect();
    let mut counts = votes(views, &playlists, epoch);
    counts.retain(|(other, _)| *other != track);
    (playlists.len() as u32, counts)
}
