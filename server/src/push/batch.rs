//! Some rows, read as they are now and sent together.

use std::collections::hash_map::Entry;
use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};
use segue_connectors::redis::layout::{Beside, Layout, Row, dated, gone, json};
use segue_connectors::redis::{Connection, Error, Write};
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::GraphLease;
use xxhash_rust::xxh3::xxh3_64;

use super::ledger::Ledger;
use crate::metrics;

/// So many URIs are kept from one batch to the next, at the most.
const URIS_MAX: usize = 1 << 17;

/// URIs of tracks that were in rows: one is in many, and never has another.
#[derive(Default)]
pub struct Uris(FxHashMap<TrackId, Box<str>>);

impl Uris {
    /// Sees to it that those of these tracks are there.
    fn look_up(&mut self, tracks: &[(TrackId, u32)], graph: &GraphLease) {
        if self.0.len() > URIS_MAX {
            self.0.clear();
        }
        for (track, _) in tracks {
            if let Entry::Vacant(free) = self.0.entry(*track)
                && let Some(uri) = graph.uri(*track)
            {
                free.insert(uri);
            }
        }
    }

    fn of(&self, track: TrackId) -> &str {
        self.0.get(&track).map_or("", |uri| uri)
    }
}

/// What is to be done with each track.
#[derive(Default)]
pub struct Batch {
    /// The step that all of it is as-of.
    epoch: u64,
    /// Values to be set, with their tracks and hashes.
    writes: Vec<((TrackId, u64), Write)>,
    /// Keys to be deleted, with their tracks.
    deletes: Vec<(TrackId, String)>,
    /// Tracks without room.
    pub left_out: Vec<TrackId>,
    /// How many rows stand there as they are.
    same: usize,
}

impl Batch {
    /// From the rows of these tracks as they are, with so many neighbours at the most. Those of `unwanted` tracks are
    /// to go.
    pub fn new(
        (tracks, graph): (impl Iterator<Item = TrackId>, &GraphLease),
        limit: usize,
        unwanted: &FxHashSet<TrackId>,
        layout: &Layout,
        ledger: &mut Ledger,
        uris: &mut Uris,
    ) -> Self {
        let epoch = graph.step();
        let mut batch = Batch { epoch, ..Batch::default() };
        for track in tracks {
            let held = ledger.get(track).map(|held| layout.row(&held.uri));
            match graph.row(track).map(|row| (graph.uri(track), row)) {
                Some((Some(uri), row)) if !unwanted.contains(&track) => {
                    let shared: Vec<(TrackId, u32)> = row.neighbours().take(limit).collect();
                    uris.look_up(&shared, graph);
                    let beside =
                        shared.iter().map(|(other, shared)| Beside { uri: uris.of(*other), shared: *shared });
                    let body = json(&Row { sampled: row.sampled(), neighbours: beside.collect() });
                    let hash = xxh3_64(body.as_bytes());
                    if ledger.is(track, hash) {
                        batch.same += 1;
                        continue;
                    }
                    let (key, value) = (layout.row(&uri), dated(epoch, &body));
                    if ledger.intend(track, &uri, key.len() + value.len()) {
                        batch.writes.push(((track, hash), Write { key, value, epoch, gone: false }));
                    } else {
                        batch.left_out.push(track);
                        // Whoever was here before may have set it.
                        batch.deletes.push((track, key));
                    }
                }
                Some(_) => batch.deletes.extend(held.map(|key| (track, key))),
                None => batch.writes.extend(held.map(|key| {
                    let write = Write { key, value: gone(epoch), epoch, gone: true };
                    ((track, 0), write)
                })),
            }
        }
        batch
    }

    /// How many commands it is, and how many rows it has left as they stand.
    pub fn size(&self) -> (usize, usize) {
        (self.writes.len() + self.deletes.len(), self.same)
    }

    /// Sends it.
    pub fn send(self, connection: &mut Connection, ledger: &mut Ledger) -> Result<(), Error> {
        let (tracks, writes): (Vec<(TrackId, u64)>, Vec<Write>) = self.writes.into_iter().unzip();
        let won = connection.put(&writes)?;
        let older = won.iter().filter(|won| !**won).count();
        let until = Instant::now() + connection.gone_for();
        for (((track, hash), write), won) in tracks.into_iter().zip(&writes).zip(won) {
            let bytes = write.key.len() + write.value.len();
            match (write.gone, won) {
                (false, won) => ledger.set(track, if won { write.epoch } else { 0 }, hash, bytes),
                (true, true) => ledger.leave(track, until, bytes),
                (true, false) => ledger.remove(track),
            }
        }
        connection.delete(self.deletes.iter().map(|(_, key)| &**key), self.epoch)?;
        self.deletes.iter().for_each(|(track, _)| ledger.remove(*track));
        metrics::redis_set(writes.len() - older + self.deletes.len(), older, self.same);
        Ok(())
    }
}
