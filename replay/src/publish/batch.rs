//! Some events, encoded: one JSON object a line.

use std::io::Write;
use std::ops::Range;

use segue_dataflow::event::Event;

/// A batch with so many events is sent.
pub const BATCH_EVENTS_MAX: usize = 5_000;
/// A batch with so many bytes is sent. (The event that fills it may be longer.)
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Events in the order of their stream, encoded.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    ndjson: Vec<u8>,
    /// The keys, one after the other.
    keys: String,
    /// Where each event ends in `ndjson`, and its key in `keys`.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    /// Adds an event.
    pub fn push(&mut self, event: &Event<'_>) {
        // Neither a string nor a `Vec` can fail to be written.
        let written =
            serde_json::to_writer(&mut self.ndjson, event).is_ok() && self.ndjson.write_all(b"\n").is_ok();
        debug_assert!(written);
        self.keys.push_str(event.key());
        self.ends.push((self.ndjson.len(), self.keys.len()));
    }

    /// Whether it is to be sent before more is added.
    pub fn is_full(&self) -> bool {
        self.events() >= BATCH_EVENTS_MAX || self.ndjson.len() >= BATCH_BYTES_MAX
    }

    /// How many events there are.
    pub fn events(&self) -> usize {
        self.ends.len()
    }

    /// All events, each with a line end.
    pub fn ndjson(&self) -> &[u8] {
        &self.ndjson
    }

    /// Each event's key, and where it stands in [`Batch::ndjson`] without its line end.
    pub fn keyed(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        let begins = std::iter::once((0, 0)).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| (&self.keys[begin.1..end.1], begin.0..end.0 - 1))
    }

    /// Each event, without its line end.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.keyed().map(|(_, at)| &self.ndjson[at])
    }

    /// Empties it, keeping its room.
    pub fn clear(&mut self) {
        self.ndjson.clear();
        self.keys.clear();
        self.ends.clear();
    }
}
