//! Slice files in the published schema, written in parallel.
//!
//! Invariant: a file under its final name is complete (it is written as `.part` and then renamed), and the
//! folder holds this data set and no other: what would be mixed with it is refused.

use std::fmt;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustc_hash::FxHashSet;

use super::{Edits, Playlist, Playlists};
use crate::source::Kind;

/// Playlists in a slice.
pub const SLICE_PLAYLISTS: u64 = 1000;

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Chooses the playlists.
    pub seed: u64,
    /// How many.
    pub playlists: u64,
    /// How many later edits.
    pub edits: u64,
    /// Whether to pack the files.
    pub gzip: bool,
    /// How many threads write slices.
    pub threads: usize,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Playlists in slices.
    pub playlists: u64,
    /// Their tracks.
    pub entries: u64,
    /// Files.
    pub files: u64,
    /// Bytes of text, before packing.
    pub bytes: u64,
    /// Later edits.
    pub edits: u64,
    /// Whether it was interrupted before the end. Files that are there are complete.
    pub interrupted: bool,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written { playlists, entries, files, bytes, edits, interrupted } = self;
        let so_far = if *interrupted { "interrupted after " } else { "" };
        let mb = *bytes as f64 / 1e6;
        write!(
            f,
            "{so_far}{playlists} playlists with {entries} entries, {edits} edits; {files} files, {mb:.1} MB"
        )
    }
}

/// Why nothing more could be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file or the folder could not be written.
    #[error("{path}: could not write: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder has data that is not part of this data set.
    #[error("{path}: is in the way and would be read as part of the data set; choose an empty folder")]
    InTheWay {
        /// A file in the folder.
        path: PathBuf,
    },
}

fn at(path: &Path) -> impl Fn(io::Error) -> WriteError + '_ {
    move |source| WriteError::Write { path: path.to_owned(), source }
}

impl Job {
    /// Writes the data set into the folder `out`.
    pub fn write(&self, out: &Path, interrupted: &AtomicBool) -> Result<Written, WriteError> {
        fs::create_dir_all(out).map_err(at(out))?;
        self.check_folder(out)?;
        let playlists = Playlists::new(self.seed, self.playlists);
        let next_slice = AtomicU64::new(0);
        let failed = AtomicBool::new(false);
        let stop = || interrupted.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed);
        let written = Mutex::new(Ok(Written::default()));
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    let mut text = String::new();
                    while !stop() {
                        let first = next_slice.fetch_add(1, Ordering::Relaxed) * SLICE_PLAYLISTS;
                        if first >= self.playlists {
                            break;
                        }
                        let slice = self.slice(out, &playlists, first, &mut text);
                        let mut all = written.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                        match (&mut *all, slice) {
                            (Ok(all), Ok(slice)) => all.add(&slice),
                            (Ok(_), Err(error)) => {
                                failed.store(true, Ordering::Relaxed);
                                *all = Err(error);
                            }
                            (Err(_), _) => {}
                        }
                    }
                });
            }
        });
        let mut written = written.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())?;
        if self.edits > 0 && !stop() {
            written.add(&self.edits(out, playlists, interrupted)?);
        }
        written.interrupted = interrupted.load(Ordering::Relaxed);
        Ok(written)
    }

    fn slice_name(&self, first: u64) -> String {
        let last = first + SLICE_PLAYLISTS - 1;
        self.named(format!("mpd.slice.{first}-{last}.json"))
    }

    fn named(&self, name: String) -> String {
        if self.gzip { name + ".gz" } else { name }
    }

    /// Refuses files that would be read together with ours.
    fn check_folder(&self, out: &Path) -> Result<(), WriteError> {
        let ours = |name: &str| {
            let first =
                name.strip_prefix("mpd.slice.").and_then(|n| n.split('-').next()?.parse::<u64>().ok());
            first.is_some_and(|first| {
                first.is_multiple_of(SLICE_PLAYLISTS)
                    && first < self.playlists
                    && self.slice_name(first) == name
            }) || (self.edits > 0 && name == self.named("edits.ndjson".to_owned()))
        };
        for entry in fs::read_dir(out).map_err(at(out))? {
            let path = entry.map_err(at(out))?.path();
            if Kind::of(&path).is_some() && !path.file_name().and_then(|n| n.to_str()).is_some_and(ours) {
                return Err(WriteError::InTheWay { path });
            }
        }
        Ok(())
    }

    fn slice(
        &self,
        out: &Path,
        playlists: &Playlists,
        first: u64,
        text: &mut String,
    ) -> Result<Written, WriteError> {
        let end = (first + SLICE_PLAYLISTS).min(self.playlists);
        text.clear();
        let mut written = Written { playlists: end - first, files: 1, ..Written::default() };
        // Writing to a `String` does not fail.
        let last = first + SLICE_PLAYLISTS - 1;
        let _ = write!(
            text,
            "{{\"info\":{{\"generated_on\":\"2017-12-03 08:41:42\",\"slice\":\"{first}-{last}\",\"version\":\"v1\"}},\
             \"playlists\":["
        );
        for playlist in playlists.range(first, end) {
            text.push_str(if playlist.pid == first { "\n" } else { ",\n" });
            written.entries += playlist.tracks.len() as u64;
            playlist.to_json(text);
        }
        text.push_str("\n]}\n");
        written.bytes = text.len() as u64;
        let path = out.join(self.slice_name(first));
        self.file(&path, |file| file.write_all(text.as_bytes())).map_err(at(&path))?;
        Ok(written)
    }

    fn edits(
        &self,
        out: &Path,
        playlists: Playlists,
        interrupted: &AtomicBool,
    ) -> Result<Written, WriteError> {
        let path = out.join(self.named("edits.ndjson".to_owned()));
        let mut written = Written { files: 1, ..Written::default() };
        let whole = self.file(&path, |file| {
            for event in Edits::of(playlists).take(self.edits as usize) {
                if interrupted.load(Ordering::Relaxed) {
                    return Err(io::Error::other("interrupted"));
                }
                let mut line = event.to_json();
                line.push('\n');
                file.write_all(line.as_bytes())?;
                written.edits += 1;
                written.bytes += line.len() as u64;
            }
            Ok(())
        });
        match whole {
            Err(_) if interrupted.load(Ordering::Relaxed) => Ok(Written::default()),
            whole => whole.map(|()| written).map_err(at(&path)),
        }
    }

    /// Writes a file under another name and gives it its own when it is whole.
    fn file(&self, path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut file = io::BufWriter::new(File::create(&part)?);
        let filled = if self.gzip {
            let mut packed = GzEncoder::new(&mut file, Compression::fast());
            fill(&mut packed).and_then(|()| packed.try_finish())
        } else {
            fill(&mut file)
        };
        let whole = filled.and_then(|()| file.flush()).and_then(|()| fs::rename(&part, path));
        if whole.is_err() {
            // What matters is the first error, which the caller gets.
            let _ = fs::remove_file(&part);
        }
        whole
    }
}

impl Written {
    fn add(&mut self, other: &Written) {
        self.playlists += other.playlists;
        self.entries += other.entries;
        self.files += other.files;
        self.bytes += other.bytes;
        self.edits += other.edits;
    }
}

impl Playlist {
    /// Appends the playlist as the data set has it. (The names of this world and its titles need no escape.)
    fn to_json(&self, out: &mut String) {
        let artists: FxHashSet<_> = self.tracks.iter().map(|t| t.artist()).collect();
        let albums: FxHashSet<_> = self.tracks.iter().map(|t| (t.artist(), t.album(t.artist()))).collect();
        let duration_ms: u64 = self.tracks.iter().map(|t| u64::from(t.duration_ms())).sum();
        let Playlist { pid, title, modified_at_s, tracks, followers, .. } = self;
        // Writing to a `String` does not fail.
        let _ = write!(
            out,
            "{{\"name\":\"{title}\",\"collaborative\":\"{}\",\"pid\":{pid},\"modified_at\":{modified_at_s},\
             \"num_tracks\":{},\"num_albums\":{},\"num_followers\":{followers},\"tracks\":[",
            pid % 43 == 0,
            tracks.len(),
            albums.len(),
        );
        for (pos, &track) in tracks.iter().enumerate() {
            let artist = track.artist();
            let album = track.album(artist);
            let _ = write!(out, "{}{{\"pos\":{pos},\"artist_name\":\"", if pos == 0 { "" } else { "," });
            artist.name(out);
            out.push_str("\",\"track_uri\":\"");
            track.uri(out);
            out.push_str("\",\"artist_uri\":\"");
            artist.uri(out);
            out.push_str("\",\"track_name\":\"");
            track.name(out);
            out.push_str("\",\"album_uri\":\"");
            artist.album_uri(album, out);
            let _ = write!(out, "\",\"duration_ms\":{},\"album_name\":\"", track.duration_ms());
            artist.album_name(album, out);
            out.push_str("\"}");
        }
        let edits = 1 + tracks.len() / 4;
        let _ = write!(
            out,
            "],\"num_edits\":{edits},\"duration_ms\":{duration_ms},\"num_artists\":{}}}",
            artists.len()
        );
    }
}
