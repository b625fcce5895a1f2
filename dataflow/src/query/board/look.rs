//! The graph as a whole, and the URIs of its tracks: for whoever follows its steps.

use std::sync::Arc;

use super::Lease;
use crate::ids::TrackId;
use crate::neighbours::Row;
use crate::views::parts::PARTS;

impl Lease<'_> {
    /// The step of the graph as-of which rows are read; 0 before the first.
    pub fn graph(&self) -> u64 {
        self.views.graph
    }

    /// All rows as-of [`graph`](Self::graph), by track. A part of them is read under one lock.
    pub fn rows(&self) -> Vec<(TrackId, Arc<Row>)> {
        let mut all = Vec::new();
        for books in &*self.views.books {
            for part in 0..PARTS {
                let rows = books.rows.read();
                let there =
                    rows.keys(part).filter_map(|track| Some((*track, rows.get(track, self.graph())?)));
                all.extend(there.map(|(track, row)| (track, Arc::clone(row))));
            }
            let rows = books.rows.read();
            let changed = rows.changed_since(self.graph());
            all.extend(
                changed.filter_map(|track| Some((*track, Arc::clone(rows.get(track, self.graph())?)))),
            );
        }
        all.sort_unstable_by_key(|(track, _)| *track);
        all.dedup_by_key(|(track, _)| *track);
        all
    }

    /// The row of a track as-of [`graph`](Self::graph), if it has one.
    pub fn row(&self, track: TrackId) -> Option<Arc<Row>> {
        self.views.owner(track).rows.read().get(&track, self.graph()).cloned()
    }

    /// The URI of a track that is there as-of the present.
    pub fn uri(&self, track: TrackId) -> Option<Box<str>> {
        self.views.owner(track).cards.read().uri(track, self.as_of)
    }
}
