//! Sources: files of playlists or edits, found by name and read as one stream of events.
//!
//! A [`Reader`] pushes events into a [`Sink`], file by file, in an order that depends on the files only:
//! the n-th event of the same sources is always the same one. What is wrong in a file is a [`Fault`],
//! told to the sink; everything else still comes.

mod describe;
mod events;
mod file;
mod find;
mod mpd;

use std::ops::ControlFlow;
use std::path::Path;

use segue_dataflow::event::{Event, Rejection};

pub use describe::Describer;
pub use file::SLICE_BYTES_MAX;
pub use find::{Input, Kind, NoSource, find};

/// Takes what a source gives.
pub trait Sink {
    /// The next event. `Break` ends the reading.
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()>;

    /// Something that could not be read and was left out.
    fn fault(&mut self, fault: Fault);

    /// So many more bytes of the files were read (as they lie on disk).
    fn read(&mut self, _bytes: u64) {}
}

/// What could not be read. All of it is left out; the rest goes on.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The rest of a slice, from here on. Playlists before the place were taken.
    #[error(
        "{path}:{line}:{column}: not a Million Playlist Dataset slice from here on: {what}; \
         the playlists before it were taken"
    )]
    Slice {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1; 0 before the line's first byte.
        column: usize,
        /// What the reader expected.
        what: String,
    },
    /// The rest of a file: it could not be read, or its gzip stream is broken.
    #[error("{path}:{line}:{column}: could not read on from here: {source}; what stands before was taken")]
    Unreadable {
        /// The file.
        path: String,
        /// Line of the (unpacked) text, from 1.
        line: u64,
        /// How many bytes of the line came before.
        column: usize,
        /// What the system or gzip said.
        source: std::io::Error,
    },
    /// A slice with more than [`SLICE_BYTES_MAX`] bytes of text.
    #[error("{path}: has more than {SLICE_BYTES_MAX} bytes of text, too many for one slice; split it")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// A playlist that no event can carry.
    #[error("{path}: playlist {playlist} ({title:?}) has {tracks} tracks, at most {max} are taken")]
    TooManyTracks {
        /// The file.
        path: String,
        /// Its URI.
        playlist: String,
        /// Its title.
        title: String,
        /// Its distinct tracks.
        tracks: usize,
        /// The limit.
        max: usize,
    },
    /// A line of an event file.
    #[error("{path}:{line}: {rejection}")]
    Line {
        /// The file.
        path: String,
        /// Line, from 1.
        line: u64,
        /// Why it is no event.
        rejection: Rejection,
    },
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events given to the sink.
    pub events: u64,
    /// Playlists found in slices.
    pub playlists: u64,
    /// Rows of their track lists.
    pub rows: u64,
    /// Rows left out because they name no track.
    pub rows_without_track: u64,
    /// Faults given to the sink.
    pub faults: u64,
}

/// Reads sources one after the other. Remembers which tracks were described (8 bytes each).
#[derive(Debug, Default)]
pub struct Reader {
    describer: Describer,
    counts: Counts,
    text: Vec<u8>,
}

impl Reader {
    /// A reader that has described no track yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was read so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Reads one input to its end, or until the sink breaks off.
    pub fn read(&mut self, input: &Input, sink: &mut dyn Sink) -> ControlFlow<()> {
        let mut sink = Counted { sink, counts: &mut self.counts };
        match input.kind {
            Kind::Slice => mpd::read(&input.path, &mut self.text, &mut self.describer, &mut sink),
            Kind::Events => events::read(&input.path, &mut self.text, &mut sink),
        }
    }

    /// Reads all inputs.
    pub fn read_all(&mut self, inputs: &[Input], sink: &mut dyn Sink) -> ControlFlow<()> {
        inputs.iter().try_for_each(|input| self.read(input, sink))
    }
}

/// A sink that counts what passes.
struct Counted<'a> {
    sink: &'a mut dyn Sink,
    counts: &'a mut Counts,
}

impl Sink for Counted<'_> {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.counts.events += 1;
        self.sink.event(event)
    }

    fn fault(&mut self, fault: Fault) {
        self.counts.faults += 1;
        self.sink.fault(fault);
    }

    fn read(&mut self, bytes: u64) {
        self.sink.read(bytes);
    }
}

/// How a path is shown in messages.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
