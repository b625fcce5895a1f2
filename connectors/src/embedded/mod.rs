//! The log on disk, on the store fjall: one folder, no server.
//!
//! Reading order: this file answers the [`Log`] calls; `folder` lays out, locks and checks the folder;
//! `journal` finds and cuts off what a crash left half written; `committer` is the one thread that writes.
//!
//! A record's key is its partition and offset, both big-endian, so a partition lies in one run, in order,
//! and writing only ever adds at its end. An acknowledged record is in the synced journal of the store.

mod committer;
mod folder;
mod journal;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fjall::{Keyspace, PersistMode};

use crate::ends::Ends;
use crate::log::{Error, Log, Position, Read, Record, Stored, check};
use committer::Committer;
use folder::Folder;

pub use folder::OpenError;
pub use journal::TornTail;

/// When a record counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// When the disk has it (fsync): it survives kill -9 and a power cut.
    #[default]
    Fsync,
    /// When the operating system has it: it survives kill -9 only. To measure what fsync costs.
    Os,
}

impl From<SyncMode> for PersistMode {
    fn from(sync: SyncMode) -> Self {
        match sync {
            SyncMode::Fsync => PersistMode::SyncAll,
            SyncMode::Os => PersistMode::Buffer,
        }
    }
}

/// How to open a log.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many partitions; fixed when the folder is created. Default 1.
    pub partitions: NonZeroU32,
    /// When a record counts as durable. Default fsync.
    pub sync: SyncMode,
}

impl Default for Options {
    fn default() -> Self {
        Options { partitions: NonZeroU32::MIN, sync: SyncMode::Fsync }
    }
}

/// The log in a folder on disk. Dropping it finishes what was accepted and frees the folder.
pub struct Embedded {
    // Fields are dropped in this order: the writer ends before the folder is unlocked.
    committer: Committer,
    records: Keyspace,
    ends: Arc<Ends>,
    folder: Folder,
}

/// What opening a log gives.
pub struct Opened {
    /// The log.
    pub log: Embedded,
    /// What was cut off because a crash had left it half written; none after an orderly end.
    pub torn_tail: Option<TornTail>,
}

impl Embedded {
    /// Opens the log in this folder, or creates it there.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path, options: Options) -> Result<Opened, OpenError> {
        let (folder, torn_tail) = Folder::open(path, options.partitions)?;
        let records = folder.records()?;
        let ends = Arc::new(Ends::new(folder.ends(&records, options.partitions)?));
        let committer =
            Committer::start(folder.store(), records.clone(), ends.clone(), path.to_owned(), options.sync)
                .map_err(|source| OpenError::Io {
                    path: path.to_owned(),
                    doing: "starting its thread",
                    source,
                })?;
        Ok(Opened { log: Embedded { committer, records, ends, folder }, torn_tail })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn corrupt(&self, detail: String) -> Error {
        Error::Corrupt { path: self.path().to_owned(), detail }
    }

    fn read_error(&self, error: &fjall::Error) -> Error {
        match error {
            fjall::Error::Io(_) | fjall::Error::Storage(fjall::LsmError::Io(_)) => {
                Error::Unreadable { path: self.path().to_owned(), reason: error.to_string() }
            }
            _ => self.corrupt(error.to_string()),
        }
    }
}

impl Log for Embedded {
    fn partitions(&self) -> u32 {
        self.committer.partitions()
    }

    fn append(&self, records: &[Record<'_>]) -> Result<Vec<Position>, Error> {
        check(records)?;
        self.committer.append(records)
    }

    fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Read, Error> {
        let end = self.ends.readable(partition, from)?;
        let mut read: Vec<Stored> = Vec::new();
        let mut bytes = 0;
        for entry in self.records.range(key(partition, from)..key(partition, end)) {
            let (found, value) = entry.into_inner().map_err(|error| self.read_error(&error))?;
            let offset = from + read.len() as u64;
            if *found != key(partition, offset) {
                return Err(self.corrupt(format!("record {partition}:{offset} is missing")));
            }
            bytes += value.len();
            if !read.is_empty() && bytes > bytes_max {
                return Ok(Read::of(from, read));
            }
            // A copy, so that a reader does not keep whole blocks of the store alive.
            read.push(Stored { offset, key: None, payload: Some(Bytes::copy_from_slice(&value)) });
            if bytes >= bytes_max {
                return Ok(Read::of(from, read));
            }
        }
        let offset = from + read.len() as u64;
        if offset < end {
            return Err(self.corrupt(format!("record {partition}:{offset} is missing")));
        }
        Ok(Read::of(from, read))
    }

    fn end(&self, partition: u32) -> Result<u64, Error> {
        self.ends.get(partition)
    }

    fn wait(&self, partition: u32, offset: u64, timeout: Duration) -> Result<bool, Error> {
        self.ends.wait(partition, offset, timeout)
    }

    fn close(&self) {
        self.committer.close();
        self.ends.close();
    }
}

/// Bytes of a key: partition, offset.
const KEY_BYTES: usize = 12;

fn key(partition: u32, offset: u64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..4].copy_from_slice(&partition.to_be_bytes());
    key[4..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The folder of the log under a data folder.
pub fn folder_of(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}
