//! All that is there, for a reader who starts from nothing: first the charts, then rows by their tracks' ids, a piece
//! at a time.
//!
//! A piece is as-of what is settled when its turn has come, and before it the reader is told what has changed since of
//! the rows that it has. So at any time it has the graph up to some track, as-of one position of the buffer: an older row
//! never follows a newer one, nothing has to be kept for the whole time, and an id that tells position and track is
//! enough to go on from.

use std::collections::BTreeSet;
use std::io::Write;

use segue_dataflow::ids::TrackId;
use segue_dataflow::query::GraphLease;

use super::charts::Places;
use super::reader::Filter;
use super::ring::{CHUNK_BYTES, Chunk, Kind, Part};
use super::rows::Teller;
use super::writer::as_of;
use super::{Id, Settled};

/// How far it is.
#[derive(Default)]
pub struct Copy {
    /// Rows of tracks through this one have been told, and the charts; none if nothing is complete yet.
    through: Option<TrackId>,
    begun: bool,
    /// Tracks after it that may have a row: those that had one when this was begun, and those that came since.
    left: BTreeSet<TrackId>,
}

/// What is to be handed over.
#[derive(Default)]
pub struct Text {
    /// Server-sent events.
    pub bytes: Vec<u8>,
    /// How many.
    pub events: usize,
}

impl Text {
    /// An event, with an id if one can go on from it.
    fn event(&mut self, id: Option<Id<'_>>, rest: impl FnOnce(&mut Vec<u8>)) {
        // Memory takes whatever is written.
        let _ = id.map(|id| writeln!(self.bytes, "id: {id}"));
        rest(&mut self.bytes);
        self.events += 1;
    }

    /// Whether it is enough for now.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK_BYTES
    }
}

impl Copy {
    /// Goes on after this track.
    pub fn after(track: TrackId) -> Self {
        Copy { through: Some(track), ..Copy::default() }
    }

    /// Takes in what has changed: of what has been told it is told too.
    pub fn changes(&mut self, chunk: &Chunk, from: u64, filter: &Filter, instance: &str, text: &mut Text) {
        let wanted = |part: &Part| filter.wants(part.kind, part.track);
        for (position, part, event) in chunk.events(from).filter(|(_, part, _)| wanted(part)) {
            if part.kind == Kind::Neighbours && Some(part.track) > self.through {
                self.left.insert(part.track);
                continue;
            }
            let id = self.through.map(|through| Id { instance, position, copied: Some(through) });
            // Its own id says that all is there.
            let after_id = event.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            text.event(id, |to| to.extend_from_slice(&event[after_id..]));
        }
    }

    /// Adds rows until there is enough, or none is left; before the first, charts. The reader has what has been told
    /// as-of what is settled.
    pub fn rows(&mut self, settled: &Settled, filter: &Filter, instance: &str, text: &mut Text) {
        if !std::mem::replace(&mut self.begun, true) {
            if self.through.is_none() {
                places(&settled.charts, filter, settled.marks.charts, text);
            }
            let all = settled.graph.iter().flat_map(|graph| tracks(graph, filter));
            self.left = all.filter(|track| Some(*track) > self.through).collect();
        }
        let Some(graph) = &settled.graph else { return };
        let at = as_of(graph.step());
        let teller = Teller { as_of: &at, uri: |track| graph.uri(track) };
        while !text.is_full()
            && let Some(track) = self.left.pop_first()
        {
            self.through = Some(track);
            let Some((uri, row)) = graph.uri(track).zip(graph.row(track)) else { continue };
            let id = Id { instance, position: settled.position, copied: Some(track) };
            text.event(Some(id), |to| {
                event(Kind::Neighbours, to, |to| teller.whole(&uri, &row, to));
            });
        }
    }

    /// Whether all has been told as-of what was settled.
    pub fn is_done(&self) -> bool {
        self.begun && self.left.is_empty()
    }
}

/// Tracks whose rows are wanted.
fn tracks(graph: &GraphLease, filter: &Filter) -> Vec<TrackId> {
    match filter.kind {
        Some(Kind::Chart) => Vec::new(),
        _ if filter.tracks.is_empty() => graph.tracks(),
        _ => filter.tracks.iter().copied().collect(),
    }
}

/// Every place of the charts, without ids: nobody can go on before a row.
fn places(charts: &Places, filter: &Filter, epoch: u64, text: &mut Text) {
    let all = charts.since(&Places::default(), &as_of(epoch));
    for (_, place) in all.into_iter().filter(|(track, _)| filter.wants(Kind::Chart, *track)) {
        text.event(None, |to| {
            // A value always becomes JSON, and memory takes it.
            event(Kind::Chart, to, |to| drop(serde_json::to_writer(to, &place)));
        });
    }
}

fn event(kind: Kind, to: &mut Vec<u8>, data: impl FnOnce(&mut Vec<u8>)) {
    // Memory takes whatever is written.
    let _ = write!(to, "event: {}\ndata: ", kind.name());
    data(to);
    to.extend_from_slice(b"\n\n");
}
