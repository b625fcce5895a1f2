//! Taking a snapshot, on a thread that is no worker's.

use std::hash::Hash;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use crate::apply::{Playlist, Totals};
use crate::catalogue::TrackRecord;
use crate::day::Day;
use crate::ids::{PlaylistId, TrackId};
use crate::neighbours::Row;
use crate::query::{GraphLease, Lease, Pin};
use crate::settings::RowRules;
use crate::views::book::Changes;
use crate::views::parts::PARTS;
use crate::views::{Books, Views};

/// The state as-of one epoch, readable as long as this lives. No lock is held for longer than it takes to
/// copy one value, or a part of the keys.
///
/// It marks the books: the next one can tell what has changed since. If it is dropped before it is
/// [`kept`](Snapshot::keep), the next one tells that and what this one told.
pub struct Snapshot {
    pin: Pin,
    next: Vec<u64>,
    views: Views,
    /// If the graph's rows are part of this, until they are told.
    graph: Mutex<Option<(RowRules, GraphLease)>>,
    /// By worker.
    changes: Vec<(Changes<PlaylistId>, Changes<TrackId>)>,
    whole: bool,
}

impl Snapshot {
    /// Of what the lease is on. With `whole`, or if too much has changed since the last one, all of it; else
    /// the changes.
    pub(crate) fn new(lease: Lease, whole: bool) -> Self {
        let (pin, next, views, graph) = lease.take_apart();
        let epoch = pin.as_of();
        let mark = |books: &Books| (books.playlists.write().mark(epoch), books.cards.write().mark(epoch));
        let changes: Vec<_> = views.books.iter().map(mark).collect();
        let unknown = changes.iter().any(|(playlists, tracks)| {
            matches!(playlists, Changes::Unknown) || matches!(tracks, Changes::Unknown)
        });
        Snapshot { pin, next, views, graph: Mutex::new(graph), changes, whole: whole || unknown }
    }

    /// The epoch.
    pub fn as_of(&self) -> u64 {
        self.pin.as_of()
    }

    /// By partition of the log, the offset of the first event that is not in it.
    pub fn next(&self) -> &[u64] {
        &self.next
    }

    /// Whether it is all of the state, not only what has changed since the last one.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Sums over all playlists.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        for books in &*self.views.books {
            all.add(&books.totals.read().get(&(), self.as_of()).copied().unwrap_or_default());
        }
        all
    }

    /// Hands every playlist to `each`, by id: what is known of it and its tracks, ascending, and when they were
    /// added (where that is kept of any); none if it is gone.
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn playlists<E>(
        &self,
        mut each: impl FnMut(PlaylistId, Option<&Playlist>, &[TrackId], &[Day]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (views, epoch) = (&self.views, self.as_of());
        let ids = self.ids(
            |books, part| books.playlists.read().keys(part).copied().collect(),
            |books| books.playlists.read().changed_since(epoch).copied().collect(),
            |(playlists, _)| playlists,
        );
        let (mut pass, mut tracks) = (views.by_playlist.pass(), Vec::new());
        for id in ids {
            let playlist = views.owner(id).playlists.read().get(&id, epoch).cloned();
            let days = views.owner(id).days.read().get(&id, epoch).cloned().unwrap_or_default();
            tracks.clear();
            if playlist.is_some() {
                pass.read(id, epoch, |track| tracks.push(track));
            }
            if playlist.is_some() || !self.whole {
                each(id, playlist.as_ref(), &tracks, &days)?;
            }
        }
        Ok(())
    }

    /// Hands every track to `each`, by id: all that is kept of it; none if it is gone.
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn tracks<E>(
        &self,
        mut each: impl FnMut(TrackId, Option<&TrackRecord>) -> Result<(), E>,
    ) -> Result<(), E> {
        let epoch = self.as_of();
        let ids = self.ids(
            |books, part| books.cards.read().keys(part).copied().collect(),
            |books| books.cards.read().changed_since(epoch).copied().collect(),
            |(_, tracks)| tracks,
        );
        for id in ids {
            let track = self.views.owner(id).cards.read().record(id, epoch);
            if track.is_some() || !self.whole {
                each(id, track.as_ref())?;
            }
        }
        Ok(())
    }

    /// Hands every row of the graph to `each`, by id, and gives their rules; none if they are not part of it: they are
    /// if nothing came between the graph's newest step and it. Only once, since old rows are held back until then.
    ///
    /// # Errors
    /// That of `each`, which ends it.
    pub fn rows<E>(
        &self,
        mut each: impl FnMut(TrackId, &Row) -> Result<(), E>,
    ) -> Result<Option<RowRules>, E> {
        let Some((rules, graph)) = self.graph.lock().take() else { return Ok(None) };
        let mut rows = graph.tracks().into_iter().filter_map(|track| Some((track, graph.row(track)?)));
        rows.try_for_each(|(track, row)| each(track, &row))?;
        Ok(Some(rules))
    }

    /// It is stored: the next one need only tell what has changed since.
    pub fn keep(mut self) {
        self.changes.clear();
    }

    /// The keys to be told, ascending: all, a part at a time and then those that have changed meanwhile; or
    /// those that have changed since the last snapshot.
    fn ids<K: Copy + Ord + Hash>(
        &self,
        part: impl Fn(&Books, usize) -> Vec<K>,
        since: impl Fn(&Books) -> Vec<K>,
        changed: impl Fn(&(Changes<PlaylistId>, Changes<TrackId>)) -> &Changes<K>,
    ) -> Vec<K> {
        let mut ids = Vec::new();
        if self.whole {
            for books in &*self.views.books {
                (0..PARTS).for_each(|number| ids.extend(part(books, number)));
                ids.extend(since(books));
            }
        } else {
            let keys = |changes| match changed(changes) {
                Changes::Keys(keys) => Some(keys),
                Changes::Unknown => None,
            };
            ids.extend(self.changes.iter().filter_map(keys).flat_map(FxHashSet::iter));
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let books = self.views.books.iter();
        for (books, (playlists, tracks)) in books.zip(self.changes.drain(..)) {
            books.playlists.write().unmark(playlists);
            books.cards.write().unmark(tracks);
        }
    }
}
