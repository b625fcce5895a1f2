//! The folder of the log: who may use it, what is in it, and opening the store that does the work.
//!
//! ```text
//! lock          held while the log is open
//! store/        the store's own files, and
//!   format.json {"format":"segue-log","version":1,"partitions":1}
//! ```
//!
//! Invariant: `store/` appears whole, by a rename. A crash while it is created leaves `store.new/`, in
//! which nothing was ever acknowledged, and the next opening throws that away.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use fjall::config::{BlockSizePolicy, CompressionPolicy, FilterPolicy};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions};
use serde::{Deserialize, Serialize};

use super::journal::{self, TornTail};
use super::{KEY_BYTES, key};
use crate::log::PARTITIONS_MAX;

const FORMAT: &str = "segue-log";
const FORMAT_VERSION: u32 = 1;
/// Bytes of blocks kept for readers. Replay reads each block once, so this is small.
const CACHE_BYTES: u64 = 1 << 20;
/// Bytes of records in memory before they go to a table; the store keeps up to five such, and a batch more.
const MEMTABLE_BYTES: u64 = 4 << 20;
/// Bytes of journals before the store hurries to be rid of them; the store makes one 64 MiB.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;
/// Bytes of a block: what one read of the disk brings, and what is compressed at a time.
const BLOCK_BYTES: u32 = 32 << 10;

/// Why a log could not be opened, by what the operator must do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made, read or written: mend its path, rights or disk.
    #[error("{}: {doing} failed", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another process (or another part of this one) has the folder open: stop that one first.
    #[error("{}: log is open in another process", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has another number of partitions: ask for that number, or use another folder.
    #[error("{}: log has {stored} partitions, not {asked}; the number is fixed at creation", path.display())]
    Partitions {
        /// The folder.
        path: PathBuf,
        /// What it was created with.
        stored: u32,
        /// What was asked for.
        asked: u32,
    },
    /// A log of another format: use the version of segue that wrote it.
    #[error(
        "{}: unknown log format {found:?} version {version}; this build knows {FORMAT:?} version {FORMAT_VERSION}",
        path.display()
    )]
    Format {
        /// The file that says so.
        path: PathBuf,
        /// The name of the format found.
        found: String,
        /// Its version.
        version: u64,
    },
    /// What is stored is not what was written: restore it from a copy. Nothing was changed.
    #[error("{}: log is corrupt: {detail}", path.display())]
    Corrupt {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
}

/// What `format.json` says.
#[derive(Serialize, Deserialize)]
struct Format {
    format: String,
    version: u64,
    partitions: u32,
}

/// An open folder. The lock is freed when this is dropped, after the store.
pub(super) struct Folder {
    store: Database,
    path: PathBuf,
    _lock: File,
}

impl Folder {
    pub(super) fn open(path: &Path, partitions: NonZeroU32) -> Result<(Self, Option<TornTail>), OpenError> {
        fs::create_dir_all(path).map_err(at(path, "making the folder"))?;
        let lock = lock(path)?;
        let store = path.join("store");
        if !store.try_exists().map_err(at(&store, "looking for it"))? {
            create(path, &store, partitions.get())?;
        }
        check_format(&store.join("format.json"), path, partitions.get())?;
        let torn_tail = journal::mend(&store)?;
        let database = open_store(&store)?;
        Ok((Folder { store: database, path: path.to_owned(), _lock: lock }, torn_tail))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn store(&self) -> Database {
        self.store.clone()
    }

    /// The keyspace with the records.
    pub(super) fn records(&self) -> Result<Keyspace, OpenError> {
        self.store.keyspace("records", records_options).map_err(store_error(&self.path))
    }

    /// Where each partition ends.
    pub(super) fn ends(&self, records: &Keyspace, partitions: NonZeroU32) -> Result<Vec<u64>, OpenError> {
        (0..partitions.get())
            .map(|partition| match records.prefix(partition.to_be_bytes()).next_back() {
                None => Ok(0),
                Some(last) => {
                    let last = last.key().map_err(store_error(&self.path))?;
                    let last: [u8; KEY_BYTES] = (*last).try_into().map_err(|_| OpenError::Corrupt {
                        path: self.path.clone(),
                        detail: format!("a key has {} bytes, not {KEY_BYTES}", last.len()),
                    })?;
                    let offset = last[4..].iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte));
                    debug_assert_eq!(last, key(partition, offset));
                    Ok(offset + 1)
                }
            })
            .collect()
    }
}

/// Refuses a second user of the folder, in this process or another. The system frees the lock of a process
/// that is killed.
fn lock(path: &Path) -> Result<File, OpenError> {
    let file = path.join("lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&file)
        .map_err(at(&file, "opening the lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path: file, doing: "locking", source }),
    }
}

fn create(path: &Path, store: &Path, partitions: u32) -> Result<(), OpenError> {
    if partitions > PARTITIONS_MAX {
        return Err(OpenError::Partitions {
            path: path.to_owned(),
            stored: PARTITIONS_MAX,
            asked: partitions,
        });
    }
    let new = path.join("store.new");
    match fs::remove_dir_all(&new) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(OpenError::Io { path: new, doing: "removing an unfinished store", source });
        }
        _ => {}
    }
    let database = open_store(&new)?;
    drop(database.keyspace("records", records_options).map_err(store_error(&new))?);
    drop(database);
    let file = new.join("format.json");
    let format = Format { format: FORMAT.to_owned(), version: FORMAT_VERSION.into(), partitions };
    let text = serde_json::to_vec(&format).map_err(|error| at(&file, "writing")(error.into()))?;
    fs::write(&file, text).map_err(at(&file, "writing"))?;
    sync(&file)?;
    sync(&new)?;
    fs::rename(&new, store).map_err(at(store, "naming the new store"))?;
    sync(path)
}

fn check_format(file: &Path, path: &Path, asked: u32) -> Result<(), OpenError> {
    let corrupt = |detail| OpenError::Corrupt { path: file.to_owned(), detail };
    let text = fs::read(file).map_err(at(file, "reading the format"))?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| corrupt(format!("not JSON: {error}")))?;
    // The name and version first: another version may have other fields.
    let found = value["format"].as_str().unwrap_or_default();
    let version = value["version"].as_u64().unwrap_or_default();
    if found != FORMAT || version != u64::from(FORMAT_VERSION) {
        return Err(OpenError::Format { path: file.to_owned(), found: found.to_owned(), version });
    }
    let Format { partitions: stored, .. } =
        serde_json::from_value(value).map_err(|error| corrupt(error.to_string()))?;
    if stored != asked {
        return Err(OpenError::Partitions { path: path.to_owned(), stored, asked });
    }
    Ok(())
}

fn open_store(store: &Path) -> Result<Database, OpenError> {
    Database::builder(store)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES_MAX)
        // Uncompressed, so that `journal` can check it; tables are compressed.
        .journal_compression(CompressionType::None)
        .worker_threads(1)
        .open()
        .map_err(store_error(store))
}

fn records_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        // Only ranges are read, for which a filter is no use.
        .filter_policy(FilterPolicy::disabled())
}

/// Syncs a file or folder, so that it is still there after a power cut.
fn sync(path: &Path) -> Result<(), OpenError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path, "syncing"))
}

pub(super) fn at(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io { path: path.to_owned(), doing, source }
}

fn store_error(path: &Path) -> impl Fn(fjall::Error) -> OpenError {
    move |error| match error {
        fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
            OpenError::Io { path: path.to_owned(), doing: "opening the store", source }
        }
        fjall::Error::Locked => OpenError::Locked { path: path.to_owned() },
        other => OpenError::Corrupt { path: path.to_owned(), detail: other.to_string() },
    }
}
