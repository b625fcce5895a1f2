//! A state put together from a snapshot, for workers to go on from.

use rustc_hash::FxHashMap;

use crate::apply::{Playlist, Totals};
use crate::catalogue::{Cards, TrackRecord};
use crate::ids::{PlaylistId, TrackId};
use crate::views::parts::PARTS;
use crate::views::popularity::Popularity;

/// Entries in one [`Slice`], unless a single playlist has more.
const SLICE_ENTRIES: usize = 1 << 18;

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

/// A state at the end of an epoch.
pub struct Restored {
    epoch: u64,
    next: Vec<u64>,
    shares: Vec<Share>,
    /// How many playlists hold each track.
    counts: FxHashMap<TrackId, u32>,
}

/// What one worker has of it.
#[derive(Default)]
pub(crate) struct Share {
    /// With where each one's tracks begin.
    playlists: Vec<(PlaylistId, Playlist, usize)>,
    /// Of all its playlists, one after the other.
    tracks: Vec<TrackId>,
    /// What is known of the tracks that it owns.
    pub(crate) cards: Cards,
    /// Sums over its playlists.
    pub(crate) totals: Totals,
}

/// Some playlists of a [`Share`], by id.
pub(crate) type Slice<'a> = Vec<(PlaylistId, &'a Playlist, &'a [TrackId])>;

impl Restored {
    /// As-of `epoch`, without any playlist yet, for so many workers. By partition of the log, `next` is the
    /// offset of the first event that is not in it.
    pub fn new(workers: usize, epoch: u64, next: Vec<u64>) -> Self {
        let shares = (0..workers.max(1)).map(|_| Share::default()).collect();
        Restored { epoch, next, shares, counts: FxHashMap::default() }
    }

    /// Takes in a playlist; each once.
    ///
    /// # Errors
    /// If its tracks are not ascending.
    pub fn playlist(
        &mut self,
        uri: &str,
        title: Option<&str>,
        tracks: impl IntoIterator<Item = TrackId>,
    ) -> Result<(), Malformed> {
        let id = PlaylistId::of(uri);
        let share = self.share(id);
        let start = share.tracks.len();
        share.tracks.extend(tracks);
        let tracks = &share.tracks[start..];
        if !tracks.is_sorted_by(|a, b| a < b) {
            return Err(Malformed::Disorder(uri.into()));
        }
        tracks.iter().for_each(|track| share.totals.digest.update(id, *track, 1));
        let entries = tracks.len() as u32;
        share.totals.playlists += 1;
        share.totals.entries += u64::from(entries);
        let playlist = Playlist { uri: uri.into(), title: title.map(Into::into), entries };
        share.playlists.push((id, playlist, start));
        let share = (id.0 % self.shares.len() as u64) as usize;
        for track in &self.shares[share].tracks[start..] {
            *self.counts.entry(*track).or_default() += 1;
        }
        Ok(())
    }

    /// Takes in a track; each once.
    pub fn track(&mut self, record: &TrackRecord) {
        let id = TrackId::of(&record.uri);
        self.share(id).cards.restore(id, record);
    }

    fn share(&mut self, id: impl Into<u64>) -> &mut Share {
        let share = (id.into() % self.shares.len() as u64) as usize;
        &mut self.shares[share]
    }

    /// All is in it now.
    ///
    /// # Errors
    /// If an entry's track is missing.
    pub fn finish(mut self) -> Result<Self, Malformed> {
        let counts = std::mem::take(&mut self.counts);
        for (track, count) in &counts {
            if !self.share(*track).cards.count(*track, *count) {
                return Err(Malformed::Unknown(*track));
            }
        }
        for share in &mut self.shares {
            share.playlists.sort_unstable_by_key(|(id, ..)| *id);
        }
        Ok(Restored { counts, ..self })
    }

    /// Hands every playlist to `each`, by id, with its tracks, ascending.
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn playlists<E>(
        &self,
        mut each: impl FnMut(PlaylistId, &Playlist, &[TrackId]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut all: Vec<_> = self
            .shares
            .iter()
            .flat_map(|share| share.playlists.iter().map(move |playlist| (share, playlist)))
            .collect();
        all.sort_unstable_by_key(|(_, (id, ..))| *id);
        all.into_iter().try_for_each(|(share, (id, playlist, start))| {
            each(*id, playlist, &share.tracks[*start..start + playlist.entries as usize])
        })
    }

    /// Hands every track to `each`, by id.
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn tracks<E>(&self, mut each: impl FnMut(TrackId, &TrackRecord) -> Result<(), E>) -> Result<(), E> {
        let cards = || self.shares.iter().map(|share| &share.cards);
        let mut all: Vec<_> = cards()
            .flat_map(|cards| (0..PARTS).flat_map(|part| cards.keys(part)).map(move |id| (*id, cards)))
            .collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        let records = all.into_iter().filter_map(|(id, cards)| Some((id, cards.record(id, self.epoch)?)));
        records.into_iter().try_for_each(|(id, record)| each(id, &record))
    }

    /// Sums over all playlists.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        self.shares.iter().for_each(|share| all.add(&share.totals));
        all
    }

    /// The epoch, the offsets, and each worker's share. Counts go to `popularity`.
    pub(crate) fn take_apart(self, popularity: &mut Popularity) -> (u64, Vec<u64>, Vec<Share>) {
        popularity.add_playlists(0, self.totals().playlists as i32);
        for (track, count) in self.counts {
            popularity.add(0, track, count as i32);
        }
        (self.epoch, self.next, self.shares)
    }
}

impl Share {
    /// Its playlists from number `from` on, a slice of them; empty at the end.
    pub(crate) fn slice(&self, from: usize) -> Slice<'_> {
        let mut entries = 0;
        let some = self.playlists[from..].iter().take_while(|(_, playlist, _)| {
            let room = entries < SLICE_ENTRIES;
            entries += playlist.entries as usize;
            room
        });
        some.map(|(id, playlist, start)| {
            (*id, playlist, &self.tracks[*start..start + playlist.entries as usize])
        })
        .collect()
    }
}
