//! The buffer of events that were made of late, as the text that readers are sent: bounded by number and by bytes.
//!
//! Every event has a number, and a *position* is the number of the next event that a reader wants. The id of an
//! event is the position after it, so a reader resumes there.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use segue_dataflow::ids::TrackId;

use super::Id;

/// A chunk is full at so many bytes: what one reader is handed at a time.
pub const CHUNK_BYTES: usize = 256 << 10;

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The row of a track has changed.
    Neighbours,
    /// The place of a track in a chart has changed.
    Chart,
}

impl Kind {
    /// Its name for readers.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Neighbours => "neighbours",
            Kind::Chart => "chart",
        }
    }
}

/// How far events are: through these epochs nothing is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Rows; none if there is no graph.
    pub graph: Option<u64>,
    /// Charts.
    pub charts: u64,
}

impl Marks {
    /// The epoch through which nothing of any kind is missing; none if the graph has not begun.
    pub fn as_of(&self) -> Option<u64> {
        Some(self.graph.unwrap_or(u64::MAX).min(self.charts)).filter(|epoch| *epoch > 0)
    }
}

/// One event of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Which track it is about.
    pub track: TrackId,
    /// What it tells.
    pub kind: Kind,
    /// Where its text ends in the chunk's.
    end: u32,
}

/// Some events that follow one another.
#[derive(Debug)]
pub struct Chunk {
    /// The number of its first event.
    pub first: u64,
    /// How far events are after it, if that is known there.
    pub marks: Option<Marks>,
    text: Bytes,
    parts: Vec<Part>,
}

impl Chunk {
    /// The position after it.
    pub fn end(&self) -> u64 {
        self.first + self.parts.len() as u64
    }

    /// How many of its events come before a position.
    fn before(&self, position: u64) -> usize {
        let before = usize::try_from(position.saturating_sub(self.first)).unwrap_or(usize::MAX);
        before.min(self.parts.len())
    }

    /// Where the text of an event begins, by its number here.
    fn start(&self, i: usize) -> usize {
        i.checked_sub(1).map_or(0, |before| self.parts[before].end as usize)
    }

    /// The events from a position on, each with the position after it, and its text, the id first.
    pub fn events(&self, from: u64) -> impl Iterator<Item = (u64, &Part, &[u8])> {
        let all = (self.first + 1..).zip(&self.parts).enumerate().skip(self.before(from));
        all.map(|(i, (after, part))| (after, part, &self.text[self.start(i)..part.end as usize]))
    }

    /// From a position on, the text of the events that are `wanted`, and how many there are. It is not copied if
    /// all are.
    pub fn text(&self, from: u64, all: bool, wanted: impl Fn(&Part) -> bool) -> (Bytes, usize) {
        if all {
            let before = self.before(from);
            return (self.text.slice(self.start(before)..), self.parts.len() - before);
        }
        let (mut text, mut events) = (Vec::new(), 0);
        for (_, _, event) in self.events(from).filter(|(_, part, _)| wanted(part)) {
            text.extend_from_slice(event);
            events += 1;
        }
        (text.into(), events)
    }
}

/// A chunk that is being written.
pub struct Draft {
    first: u64,
    text: Vec<u8>,
    parts: Vec<Part>,
}

impl Draft {
    /// Writes an event; `data` writes its JSON. `instance` is what its id begins with.
    pub fn event(&mut self, instance: &str, kind: Kind, track: TrackId, data: impl FnOnce(&mut Vec<u8>)) {
        let id = Id { instance, position: self.first + self.parts.len() as u64 + 1, copied: None };
        // Memory takes whatever is written.
        let _ = write!(self.text, "id: {id}\nevent: {}\ndata: ", kind.name());
        data(&mut self.text);
        self.text.extend_from_slice(b"\n\n");
        self.parts.push(Part { track, kind, end: u32::try_from(self.text.len()).unwrap_or(u32::MAX) });
    }

    /// Events in it.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether the next event should go into another one.
    pub fn is_full(&self) -> bool {
        self.text.len() >= CHUNK_BYTES
    }

    fn done(self, marks: Option<Marks>) -> Chunk {
        let Draft { first, text, parts } = self;
        Chunk { first, marks, text: text.into(), parts }
    }
}

/// It is not in the buffer any more, or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// The buffer.
pub struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    next: u64,
    events: usize,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
}

impl Ring {
    /// With so many events and bytes at the most. The newest chunk is kept, however large it is.
    pub fn new(events_max: usize, bytes_max: usize) -> Self {
        Ring { chunks: VecDeque::new(), next: 0, events: 0, bytes: 0, events_max, bytes_max }
    }

    /// Begins a chunk, which is to be pushed before any other is begun.
    pub fn draft(&self) -> Draft {
        Draft { first: self.next, text: Vec::new(), parts: Vec::new() }
    }

    /// Takes a chunk in, and how far events are after it, if that is known. The oldest make room.
    pub fn push(&mut self, draft: Draft, marks: Option<Marks>) {
        if !draft.parts.is_empty() {
            self.next += draft.parts.len() as u64;
            self.events += draft.parts.len();
            self.bytes += draft.text.len();
            self.chunks.push_back(Arc::new(draft.done(marks)));
        }
        while (self.events > self.events_max || self.bytes > self.bytes_max)
            && self.chunks.len() > 1
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.events -= oldest.parts.len();
            self.bytes -= oldest.text.len();
        }
    }

    /// What happens from here on may not be made into events: nobody can read across.
    pub fn clear(&mut self) {
        self.chunks.clear();
        (self.events, self.bytes) = (0, 0);
        self.next += 1;
    }

    /// The oldest position that can be read from.
    pub fn oldest(&self) -> u64 {
        self.chunks.front().map_or(self.next, |chunk| chunk.first)
    }

    /// The chunk with the event that a position wants; none if that is still to come.
    ///
    /// # Errors
    /// If it cannot be read from there.
    pub fn at(&self, position: u64) -> Result<Option<Arc<Chunk>>, Gone> {
        if position < self.oldest() || position > self.next {
            return Err(Gone);
        }
        let after = self.chunks.partition_point(|chunk| chunk.end() <= position);
        Ok(self.chunks.get(after).cloned())
    }

    /// The number of the next event.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Bytes of all events in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn push(ring: &mut Ring, tracks: &[u64], marks: Option<Marks>) {
        let mut draft = ring.draft();
        for track in tracks {
            draft.event("i", Kind::Neighbours, TrackId(*track), |text| {
                write!(text, "{track}").expect("memory takes it");
            });
        }
        ring.push(draft, marks);
    }

    /// The ids and data of events, as a reader reads them.
    fn read(text: &[u8]) -> Vec<(u64, u64)> {
        let text = std::str::from_utf8(text).expect("UTF-8");
        let events = text.split_terminator("\n\n").map(|event| {
            let (id, rest) = event.split_once("\nevent: neighbours\ndata: ").expect("an event");
            (
                id.strip_prefix("id: i-").expect("an id").parse().expect("a number"),
                rest.parse().expect("data"),
            )
        });
        events.collect()
    }

    #[test]
    fn every_position_that_is_kept_reads_all_that_came_after_it() {
        for seed in 0..50 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let (events_max, bytes_max) = (rng.random_range(1..40), rng.random_range(100..3_000));
            let mut ring = Ring::new(events_max, bytes_max);
            // By position, the track of its event; none where nothing was made of what happened.
            let mut all: Vec<Option<u64>> = Vec::new();
            for _ in 0..200 {
                if rng.random_bool(0.02) {
                    ring.clear();
                    all.push(None);
                }
                let some: Vec<u64> =
                    (0..rng.random_range(0..6)).map(|_| rng.random_range(0..1_000)).collect();
                push(&mut ring, &some, None);
                all.extend(some.iter().copied().map(Some));
                let (oldest, end) = (ring.oldest(), all.len() as u64);
                assert!(all[oldest as usize..].iter().all(Option::is_some));
                let chunks = ring.chunks.len();
                assert!(chunks <= 1 || ring.events <= events_max && ring.bytes <= bytes_max);
                let part = rng.random_range(0..3);
                for from in 0..=end + 1 {
                    let (mut position, mut told) = (from, Vec::new());
                    while let Ok(Some(chunk)) = ring.at(position) {
                        let wanted = |part_: &Part| part_.track.0 % 3 == part;
                        let (text, events) = chunk.text(position, from % 2 == 0, wanted);
                        let read = read(&text);
                        assert_eq!(read.len(), events);
                        told.extend(read);
                        position = chunk.end();
                    }
                    if from < oldest || from > end {
                        assert_eq!((ring.at(from).err(), told.len()), (Some(Gone), 0));
                        continue;
                    }
                    assert_eq!(position, end);
                    let after =
                        (from + 1..).zip(all[from as usize..].iter().map(|track| track.expect("kept")));
                    let wanted = after.filter(|(_, track)| from % 2 == 0 || track % 3 == part);
                    assert_eq!(told, wanted.collect::<Vec<_>>(), "seed {seed} from {from}");
                }
            }
        }
    }

    #[test]
    fn marks_are_told_where_nothing_is_missing() {
        let mut ring = Ring::new(100, 10_000);
        let marks = |epoch| Marks { graph: Some(epoch), charts: 7 };
        assert_eq!((Marks::default().as_of(), marks(0).as_of(), marks(9).as_of()), (None, None, Some(7)));
        push(&mut ring, &[1], Some(marks(5)));
        push(&mut ring, &[2], None);
        push(&mut ring, &[3], Some(marks(6)));
        push(&mut ring, &[], Some(marks(8)));
        assert_eq!((ring.next(), ring.events), (3, 3));
        let told = [0, 1, 2].map(|n| ring.at(n).expect("kept").expect("there").marks);
        assert_eq!(told, [Some(marks(5)), None, Some(marks(6))]);
        ring.clear();
        assert_eq!((ring.next(), ring.at(3).err()), (4, Some(Gone)));
        assert!(ring.at(4).expect("the present").is_none());
    }
}
