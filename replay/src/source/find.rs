//! Which files a SOURCE means: a file by its name, a folder by the names in it.
//!
//! The order is fixed by the names alone: slices before event files (edits come after the playlists that
//! they change), each in natural order, so that slice 2000 stands before slice 10000.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::shown;

/// What a file holds, told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A slice of the Million Playlist Dataset: `.json` or `.json.gz`.
    Slice,
    /// One event a line: `.ndjson` or `.ndjson.gz`.
    Events,
}

/// One file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub kind: Kind,
    /// Its size on disk.
    pub bytes: u64,
}

/// A SOURCE that gives nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum NoSource {
    /// It is not there, or may not be looked at.
    #[error("{path}: could not open the source: {source}")]
    Unreachable {
        /// The source.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its name is of neither kind.
    #[error(
        "{path}: neither a Million Playlist Dataset slice (.json, .json.gz) nor an event file \
         (.ndjson, .ndjson.gz); name it so if it is one"
    )]
    Neither {
        /// The source.
        path: String,
    },
    /// A folder without a file of either kind.
    #[error("{path}: the folder holds no slice (.json, .json.gz) and no event file (.ndjson, .ndjson.gz)")]
    Empty {
        /// The source.
        path: String,
    },
}

impl Kind {
    /// What the name of a file says.
    pub fn of(path: &Path) -> Option<Kind> {
        let name = path.file_name()?.to_str()?;
        match name.strip_suffix(".gz").unwrap_or(name).rsplit_once('.')?.1 {
            "json" => Some(Kind::Slice),
            "ndjson" => Some(Kind::Events),
            _ => None,
        }
    }
}

/// The files that the sources name, in the order in which they are read.
pub fn find(sources: &[PathBuf]) -> Result<Vec<Input>, NoSource> {
    let mut inputs = Vec::new();
    for source in sources {
        let unreachable = |source_error| NoSource::Unreachable { path: shown(source), source: source_error };
        let metadata = fs::metadata(source).map_err(unreachable)?;
        if metadata.is_dir() {
            let found = folder(source).map_err(unreachable)?;
            if found.is_empty() {
                return Err(NoSource::Empty { path: shown(source) });
            }
            inputs.extend(found);
        } else {
            let kind = Kind::of(source).ok_or_else(|| NoSource::Neither { path: shown(source) })?;
            inputs.push(Input { path: source.clone(), kind, bytes: metadata.len() });
        }
    }
    Ok(inputs)
}

fn folder(path: &Path) -> io::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if let Some(kind) = Kind::of(&path) {
            let metadata = fs::metadata(&path)?;
            if metadata.is_file() {
                inputs.push(Input { path, kind, bytes: metadata.len() });
            }
        }
    }
    inputs.sort_by_cached_key(|input| (input.kind, natural(&input.path)));
    Ok(inputs)
}

/// Sorts digits by their value: each run of them as (its number of digits without leading zeros, itself).
fn natural(path: &Path) -> Vec<(usize, String)> {
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    name.as_bytes()
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .map(|run| {
            let run = String::from_utf8_lossy(run);
            let digits = run.bytes().all(|b| b.is_ascii_digit());
            let digits = if digits { run.trim_start_matches('0').len() } else { 0 };
            (digits, run.into_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_name() {
        for (name, kind) in [
            ("mpd.slice.0-999.json", Some(Kind::Slice)),
            ("mpd.slice.0-999.json.gz", Some(Kind::Slice)),
            ("edits.ndjson", Some(Kind::Events)),
            ("edits.ndjson.gz", Some(Kind::Events)),
            ("stats.txt", None),
            ("json", None),
            ("a.json.zst", None),
            ("a.gz", None),
        ] {
            assert_eq!(Kind::of(Path::new(name)), kind, "{name}");
        }
    }

    #[test]
    fn a_folder_in_natural_order_and_edits_last() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "edits.ndjson",
            "mpd.slice.10000-10999.json",
            "mpd.slice.2000-2999.json.gz",
            "mpd.slice.0-999.json",
            "stats.txt",
        ] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let found = find(&[dir.path().to_path_buf()]).unwrap();
        let names: Vec<_> = found.iter().map(|i| i.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "mpd.slice.0-999.json",
                "mpd.slice.2000-2999.json.gz",
                "mpd.slice.10000-10999.json",
                "edits.ndjson"
            ]
        );
    }
}
