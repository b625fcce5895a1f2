//! Rows of the graph, many at a time, for whoever keeps a copy of them elsewhere.

use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Board;
use crate::ids::TrackId;
use crate::neighbours::Row;
use crate::query::LOCKED;

/// Rows as-of one step of the graph.
#[derive(Clone, Debug, Default)]
pub struct RowsRead {
    /// The step's epoch.
    pub epoch: u64,
    /// In the order asked; none where there is no row.
    pub rows: Vec<(TrackId, Option<Arc<Row>>)>,
    /// URIs of all tracks that are in them. One is not here if by now no playlist holds it: then the next step has
    /// another row.
    pub uris: FxHashMap<TrackId, Box<str>>,
}

impl Board {
    /// The rows of these tracks as-of the newest step, with the URIs of the tracks and of the first `limit`
    /// neighbours of each. None once the board is closed.
    pub fn rows(&self, tracks: &[TrackId], limit: usize) -> Option<RowsRead> {
        let lease = self.lease()?;
        let rows = tracks.iter().map(|track| (*track, lease.row(*track))).collect();
        let mut read = RowsRead { epoch: lease.graph(), rows, uris: FxHashMap::default() };
        let rows = read.rows.iter().filter_map(|(track, row)| Some((*track, row.as_ref()?)));
        let named =
            rows.flat_map(|(track, row)| row.neighbours().take(limit).map(|(to, _)| to).chain([track]));
        let mut wanted: Vec<TrackId> = named.collect();
        wanted.sort_unstable();
        wanted.dedup();
        read.uris = wanted.into_iter().filter_map(|track| Some((track, lease.uri(track)?))).collect();
        Some(read)
    }

    /// The tracks that have a row as-of the newest step, those that most playlists hold first, ties by id. None once
    /// the board is closed.
    pub fn with_rows(&self) -> Option<Vec<TrackId>> {
        let lease = self.lease()?;
        let found: Vec<TrackId> = lease.rows().into_iter().map(|(track, _)| track).collect();
        let mut ranks = Vec::with_capacity(found.len());
        for some in found.chunks(LOCKED) {
            let popularity = lease.views().popularity.read();
            ranks.extend(some.iter().map(|track| (Reverse(popularity.of(*track, lease.as_of())), *track)));
        }
        ranks.sort_unstable();
        Some(ranks.into_iter().map(|(_, track)| track).collect())
    }
}
