//! A state put together from a snapshot, for workers to go on from: their arrangements as they will stand.
//!
//! Nothing is sorted that is in order already: playlists come by id, and so posting lists can be filled by
//! counting. Each worker's share is made on a thread of its own.

use std::cmp::Reverse;
use std::sync::Arc;
use std::thread::scope;

use super::ranks::Ranks;
use crate::apply::{Playlist, Totals};
use crate::catalogue::{Cards, TrackRecord};
use crate::day::{Day, Days, Newest};
use crate::ids::{PlaylistId, TrackId};
use crate::neighbours::{Row, Rows};
use crate::sample;
use crate::settings::{Neighbours, RowRules};
use crate::views::batch::Batch;
use crate::views::book::Book;
use crate::views::parts::PARTS;
use crate::views::popularity::Popularity;
use crate::views::trace::View;
use crate::views::trending::Trending;

/// What is not as a state can be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A playlist's tracks are not distinct, or not in the order of their ids.
    #[error("the tracks of playlist {0:?} are not in order")]
    Disorder(Box<str>),
    /// An entry names a track of which nothing is known.
    #[error("track {0:?} is in playlists but not among the tracks")]
    Unknown(TrackId),
}

/// Playlists of a state, for so many workers.
pub struct Playlists(Vec<Part>);

/// Those of one worker.
#[derive(Default)]
struct Part {
    /// With where each one's tracks begin.
    playlists: Vec<(PlaylistId, Playlist, usize)>,
    tracks: Vec<TrackId>,
    days: Book<PlaylistId, Days>,
    newest: Newest,
}

impl Playlists {
    /// None yet.
    pub fn new(workers: usize) -> Self {
        Playlists((0..workers.max(1)).map(|_| Part::default()).collect())
    }

    /// When events last added something.
    pub fn newest(&mut self, newest: &Newest) {
        self.0.iter_mut().take(1).for_each(|part| part.newest.merge(newest));
    }

    /// Takes in a playlist; each once. `days` has none, or one for each track.
    ///
    /// # Errors
    /// If its tracks are not ascending.
    pub fn add(
        &mut self,
        uri: &str,
        title: Option<&str>,
        tracks: &[TrackId],
        days: &[Day],
    ) -> Result<(), Malformed> {
        if !tracks.is_sorted_by(|a, b| a < b) {
            return Err(Malformed::Disorder(uri.into()));
        }
        let id = PlaylistId::of(uri);
        let owner = (id.0 % self.0.len() as u64) as usize;
        let part = &mut self.0[owner];
        let playlist =
            Playlist { uri: uri.into(), title: title.map(Into::into), entries: tracks.len() as u32 };
        part.playlists.push((id, playlist, part.tracks.len()));
        part.tracks.extend_from_slice(tracks);
        if !days.is_empty() {
            part.days.set(0, id, Some(days.into()));
        }
        Ok(())
    }
}

/// Tracks of a state, for so many workers.
pub struct Tracks(Vec<Cards>);

impl Tracks {
    /// None yet.
    pub fn new(workers: usize) -> Self {
        Tracks((0..workers.max(1)).map(|_| Cards::default()).collect())
    }

    /// Takes in a track; each once.
    pub fn add(&mut self, record: &TrackRecord) {
        let id = TrackId::of(&record.uri);
        let owner = (id.0 % self.0.len() as u64) as usize;
        self.0[owner].restore(id, record);
    }

    fn ids(&self) -> impl Iterator<Item = TrackId> {
        self.0.iter().flat_map(ids)
    }
}

fn ids(cards: &Cards) -> impl Iterator<Item = TrackId> {
    (0..PARTS).flat_map(|part| cards.keys(part)).copied()
}

/// Rows of the graph as they were at the end of the epoch.
#[derive(Default)]
pub struct GraphRows {
    rules: RowRules,
    rows: Vec<(TrackId, Row)>,
}

impl GraphRows {
    /// None yet, of a graph with these rules.
    pub fn new(rules: RowRules) -> Self {
        GraphRows { rules, rows: Vec::new() }
    }

    /// Takes in the row of a track, each once: how many playlists were counted, and of them such as hold each
    /// neighbour.
    pub fn add(&mut self, track: TrackId, sampled: u32, neighbours: &[(TrackId, u32)]) {
        let shown = neighbours.iter().map(|(neighbour, shared)| (Reverse(*shared), *neighbour)).collect();
        self.rows.push((track, Row::of_shown(self.rules.keep as usize, sampled, shown)));
    }
}

/// A state at the end of an epoch.
pub struct Restored {
    epoch: u64,
    next: Vec<u64>,
    shares: Vec<Share>,
    /// Where there are none, the graph counts them.
    graph: GraphRows,
    /// How many playlists hold each track.
    counts: Vec<(TrackId, u32)>,
}

/// A track, and when one of its entries was added.
type Dated = (TrackId, Day);

/// What one worker has of it.
#[derive(Default)]
pub(crate) struct Share {
    /// None if there are no entries.
    pub(crate) by_playlist: Option<Batch<PlaylistId, TrackId>>,
    /// The same the other way round.
    pub(crate) by_track: Option<Batch<TrackId, PlaylistId>>,
    pub(crate) playlists: Book<PlaylistId, Playlist>,
    /// What is known of the tracks that it owns.
    pub(crate) cards: Cards,
    /// Playlist → the days of its tracks, in their order.
    pub(crate) days: Book<PlaylistId, Days>,
    /// Additions of its playlists, on their way to the owners of the tracks.
    dated: Vec<Dated>,
    /// Additions by day of the tracks that it owns.
    pub(crate) trending: Trending,
    /// Sums over its playlists.
    pub(crate) totals: Totals,
    /// Rows of the tracks that it owns.
    pub(crate) rows: Rows,
}

impl Restored {
    /// As-of `epoch`. By partition of the log, `next` is the offset of the first event that is not in it.
    /// Playlists and tracks are for as many workers.
    ///
    /// # Errors
    /// If an entry's track is missing.
    pub fn new(epoch: u64, next: Vec<u64>, playlists: Playlists, tracks: Tracks) -> Result<Self, Malformed> {
        let ranks = Ranks::new(tracks.ids().collect());
        let made = scope(|scope| {
            let parts = playlists.0.into_iter().zip(tracks.0);
            let making: Vec<_> = parts
                .map(|(part, cards)| {
                    let ranks = &ranks;
                    scope.spawn(move || Share::new(part, cards, ranks))
                })
                .collect();
            let made =
                making.into_iter().map(|made| made.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
            made.collect::<Result<Vec<_>, _>>()
        })?;
        let (mut shares, lists): (Vec<Share>, Vec<Vec<u32>>) = made.into_iter().unzip();
        let dated: Vec<Dated> =
            shares.iter_mut().flat_map(|share| std::mem::take(&mut share.dated)).collect();
        let count = |place: usize| lists.iter().map(|counts| counts[place]).sum();
        let counts: Vec<(TrackId, u32)> =
            ranks.ids().iter().enumerate().map(|(place, track)| (*track, count(place))).collect();
        let workers = shares.len() as u64;
        scope(|scope| {
            for (owner, share) in (0..).zip(&mut shares) {
                let own = counts.iter().filter(move |(track, _)| track.0 % workers == owner);
                let dated = dated.iter().filter(move |(track, _)| track.0 % workers == owner);
                scope.spawn(move || {
                    own.for_each(|(track, count)| share.cards.count(*track, *count));
                    dated.for_each(|(track, day)| share.trending.add(0, *track, *day, 1));
                });
            }
        });
        Ok(Restored { epoch, next, shares, graph: GraphRows::default(), counts })
    }

    /// With rows of the graph: all that there are, or some.
    #[must_use]
    pub fn with_graph(self, graph: GraphRows) -> Self {
        Restored { graph, ..self }
    }

    /// Hands every row of the graph to `each`, in the order in which they were added.
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn rows<E>(&self, mut each: impl FnMut(TrackId, &Row) -> Result<(), E>) -> Result<(), E> {
        self.graph.rows.iter().try_for_each(|(track, row)| each(*track, row))
    }

    /// Hands every playlist to `each`, by id, with its tracks, ascending, and when they were added (where that is
    /// kept of any).
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn playlists<E>(
        &self,
        mut each: impl FnMut(PlaylistId, &Playlist, &[TrackId], &[Day]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut all: Vec<_> = self
            .shares
            .iter()
            .flat_map(|share| share.playlists.iter().map(move |(id, playlist)| (id, playlist, &share.days)))
            .collect();
        all.sort_unstable_by_key(|(id, ..)| **id);
        let views: Vec<View<_, _>> =
            self.shares.iter().map(|share| share.by_playlist.iter().collect()).collect();
        let (entries, mut tracks) = (View::of_all(views.iter()), Vec::new());
        let mut pass = entries.pass();
        all.into_iter().try_for_each(|(id, playlist, days)| {
            tracks.clear();
            pass.read(*id, self.epoch, |track| tracks.push(track));
            each(*id, playlist, &tracks, days.newest(id).map(|days| &**days).unwrap_or_default())
        })
    }

    /// Hands every track to `each`, by id.
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn tracks<E>(&self, mut each: impl FnMut(TrackId, &TrackRecord) -> Result<(), E>) -> Result<(), E> {
        let owner = |id: TrackId| &self.shares[(id.0 % self.shares.len() as u64) as usize];
        let records =
            self.counts.iter().filter_map(|(id, _)| Some((*id, owner(*id).cards.record(*id, self.epoch)?)));
        records.into_iter().try_for_each(|(id, record)| each(id, &record))
    }

    /// Sums over all playlists.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        self.shares.iter().for_each(|share| all.add(&share.totals));
        all
    }

    /// The epoch, the offsets, and each worker's share. Counts go to `popularity`. Rows are dropped if they are of a
    /// graph with other `rules`.
    pub(crate) fn take_apart(
        mut self,
        popularity: &mut Popularity,
        rules: &Neighbours,
    ) -> (u64, Vec<u64>, Vec<Share>) {
        popularity.add_playlists(0, self.totals().playlists as i32);
        for (track, count) in self.counts.into_iter().filter(|(_, count)| *count > 0) {
            popularity.add(0, track, count as i32);
        }
        let workers = self.shares.len() as u64;
        for (track, row) in self.graph.rows.into_iter().filter(|_| self.graph.rules == rules.of_rows()) {
            let level = sample::level(popularity.of(track, 0), rules.sample) as u8;
            let row = Some(Arc::new(row.at_level(level)));
            self.shares[(track.0 % workers) as usize].rows.set(self.epoch, track, row);
        }
        (self.epoch, self.next, self.shares)
    }
}

impl Share {
    /// Of these playlists, and of the tracks that it owns; also how many of these playlists hold each track,
    /// by rank.
    fn new(part: Part, cards: Cards, ranks: &Ranks) -> Result<(Self, Vec<u32>), Malformed> {
        let Part { mut playlists, tracks, days, newest } = part;
        playlists.sort_unstable_by_key(|(id, ..)| *id);
        let mut share = Share { cards, days, ..Share::default() };
        share.totals.newest = newest;
        let (mut keys, mut ends, mut entries) = (Vec::new(), vec![0], Vec::with_capacity(tracks.len()));
        let mut places: Vec<u32> = Vec::with_capacity(tracks.len());
        let mut counts = vec![0_u32; ranks.ids().len()];
        for (id, playlist, start) in playlists {
            let own = &tracks[start..start + playlist.entries as usize];
            for track in own {
                let place = ranks.of(*track).ok_or(Malformed::Unknown(*track))?;
                counts[place] += 1;
                places.push(place as u32);
                share.totals.digest.update(id, *track, 1);
            }
            if let Some(days) = share.days.newest(&id) {
                let all = own.iter().copied().zip(days.iter().copied());
                share.dated.extend(all.filter(|(_, day)| *day != Day::default()));
            }
            if !own.is_empty() {
                entries.extend_from_slice(own);
                keys.push(id);
                ends.push(entries.len());
            }
            share.totals.playlists += 1;
            share.totals.entries += u64::from(playlist.entries);
            share.playlists.set(0, id, Some(playlist));
        }
        drop(tracks);
        share.by_track = posting_lists(&keys, &ends, &places, &counts, ranks);
        share.by_playlist = Batch::of_sets(keys, ends, entries);
        Ok((share, counts))
    }
}

/// The playlists that hold each track: one playlist after the other goes to where its tracks' lists have got to.
/// `places` are the ranks of all entries, `ends` where those of each playlist end.
fn posting_lists(
    playlists: &[PlaylistId],
    ends: &[usize],
    places: &[u32],
    counts: &[u32],
    ranks: &Ranks,
) -> Option<Batch<TrackId, PlaylistId>> {
    // Where each track's list begins, and has got to.
    let (mut at, mut end) = (Vec::with_capacity(counts.len()), 0);
    let (mut tracks, mut lists) = (Vec::new(), vec![0]);
    for (track, count) in ranks.ids().iter().zip(counts) {
        at.push(end);
        end += *count as usize;
        if *count > 0 {
            tracks.push(*track);
            lists.push(end);
        }
    }
    let mut holding = vec![PlaylistId(0); places.len()];
    for (playlist, own) in playlists.iter().zip(ends.windows(2)) {
        for place in &places[own[0]..own[1]] {
            let at = &mut at[*place as usize];
            holding[*at] = *playlist;
            *at += 1;
        }
    }
    Batch::of_sets(tracks, lists, holding)
}
