//! The graph as-of one step: its rows, and the URIs of the tracks in them, for whoever keeps a copy of it.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{Board, Lease};
use crate::ids::TrackId;
use crate::neighbours::{Changed, Row, Rows};
use crate::query::LOCKED;
use crate::views::Books;
use crate::views::parts::PARTS;

/// The graph, readable as-of one step as long as this lives. Nothing else is held back for it.
pub struct GraphLease {
    pub(super) board: Arc<Board>,
    pub(super) books: Arc<[Books]>,
    pub(super) step: u64,
}

impl GraphLease {
    /// The step; 0 before the first.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The row of a track, if it has one.
    pub fn row(&self, track: TrackId) -> Option<Arc<Row>> {
        self.owner(track).rows.read().get(&track, self.step).cloned()
    }

    /// The URI of a track that is in a row.
    pub fn uri(&self, track: TrackId) -> Option<Box<str>> {
        self.owner(track).cards.read().uri_at(track, self.step)
    }

    /// All tracks that have a row, by id. A part of them is looked up under one lock.
    pub fn tracks(&self) -> Vec<TrackId> {
        let mut all = Vec::new();
        for books in &*self.books {
            let has_row = |rows: &Rows, track: &TrackId| rows.get(track, self.step).is_some();
            for part in 0..PARTS {
                let rows = books.rows.read();
                all.extend(rows.keys(part).copied().filter(|track| has_row(&rows, track)));
            }
            let rows = books.rows.read();
            all.extend(rows.changed_since(self.step).copied().filter(|track| has_row(&rows, track)));
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What has changed since an earlier step, by track.
    pub fn since(&self, earlier: &GraphLease) -> Vec<Changed> {
        let mut tracks = Vec::new();
        self.books.iter().for_each(|books| tracks.extend(books.rows.read().changed_since(earlier.step)));
        tracks.sort_unstable();
        tracks.dedup();
        let change = |track| Changed { track, old: earlier.row(track), new: self.row(track) };
        // A step that has not ended may have changed more.
        let differs = |row: &Changed| row.old.as_ref().map(Arc::as_ptr) != row.new.as_ref().map(Arc::as_ptr);
        tracks.into_iter().map(change).filter(differs).collect()
    }

    fn owner(&self, track: TrackId) -> &Books {
        &self.books[(track.0 % self.books.len() as u64) as usize]
    }
}

impl Drop for GraphLease {
    fn drop(&mut self) {
        self.board.state.lock().steps_read.less(self.step);
    }
}

impl Lease {
    /// The graph as-of the newest step.
    pub fn graph(&self) -> &GraphLease {
        &self.graph
    }

    /// The same, without the rest.
    pub fn into_graph(self) -> GraphLease {
        self.graph
    }

    /// All tracks that have a row, those that most playlists hold first, ties by id.
    pub fn with_rows(&self) -> Vec<TrackId> {
        let found = self.graph.tracks();
        let mut ranks = Vec::with_capacity(found.len());
        for some in found.chunks(LOCKED) {
            let popularity = self.views.popularity.read();
            ranks.extend(some.iter().map(|track| (Reverse(popularity.of(*track, self.as_of())), *track)));
        }
        ranks.sort_unstable();
        ranks.into_iter().map(|(_, track)| track).collect()
    }
}
