//! Generated slices on disk, and reading them.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use segue_dataflow::event::{Change, Event};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_replay::generate::Job;
use segue_replay::source::{Counts, Fault, Input, Reader, Sink, find};

/// Chooses the playlists.
pub const SEED: u64 = 1;

/// A folder of slices.
pub struct Corpus {
    folder: PathBuf,
    pub playlists: u64,
    pub entries: u64,
    pub bytes: u64,
    inputs: Vec<Input>,
}

impl Corpus {
    /// Writes it into a new folder.
    pub fn generate(folder: &Path, playlists: u64) -> anyhow::Result<Self> {
        let job = Job { seed: SEED, playlists, edits: 0, gzip: false, threads: 2 };
        let written = job.write(folder, &AtomicBool::new(false))?;
        let inputs = find(&[folder.to_owned()])?;
        let (folder, entries, bytes) = (folder.to_owned(), written.entries, written.bytes);
        Ok(Corpus { folder, playlists, entries, bytes, inputs })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads and decodes all of it, handing every event to `each`.
    pub fn read(&self, each: impl FnMut(&Event<'_>)) -> Counts {
        let mut reader = Reader::new();
        let _ = reader.read_all(&self.inputs, &mut Each(each)); // it never breaks off
        assert_eq!(reader.counts().faults, 0, "generated slices have no faults");
        reader.counts()
    }

    /// All (playlist, track) pairs.
    pub fn pairs(&self) -> Vec<(PlaylistId, TrackId)> {
        let mut pairs = Vec::with_capacity(self.entries as usize);
        self.read(|event| {
            if let Change::PlaylistPut { playlist, tracks, .. } = &event.change {
                let id = PlaylistId::of(playlist);
                pairs.extend(tracks.iter().map(|track| (id, TrackId::of(&track.uri))));
            }
        });
        pairs
    }

    /// Titles of playlists, as often as they are there.
    pub fn titles(&self) -> Vec<Box<str>> {
        let mut titles = Vec::new();
        self.read(|event| {
            if let Change::PlaylistPut { title: Some(title), .. } = &event.change {
                titles.push(title.as_ref().into());
            }
        });
        titles
    }

    pub fn remove(self) -> anyhow::Result<()> {
        Ok(fs::remove_dir_all(self.folder)?)
    }
}

struct Each<F>(F);

impl<F: FnMut(&Event<'_>)> Sink for Each<F> {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        (self.0)(event);
        ControlFlow::Continue(())
    }

    fn fault(&mut self, fault: Fault) {
        eprintln!("{fault}");
    }
}
