//! The log: the ordered, partitioned, replayable source of truth, as a small blocking trait.
//!
//! The contract, which one test suite holds every implementation to:
//! - offsets of a partition grow in the order of the appends. Logs of this crate give 0, 1, 2, …; a log that
//!   others write to, forget from and put marks into (Kafka) has gaps, and may begin above 0: go on at the
//!   offset that [`Read::next`] says, not at the last one plus 1;
//! - a record goes to the partition of its key, so the records of one key keep their order;
//! - [`Log::append`] returns positions only when the records are durable; concurrent callers may share
//!   one write, and the records of one call stay in their order;
//! - [`Log::read`], [`Log::end`] and [`Log::wait`] see what is durable, and nothing else;
//! - after [`Log::close`], calls that would have to write or wait answer [`Error::Closed`].

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes that one payload may have: as many as an event.
pub const PAYLOAD_BYTES_MAX: usize = segue_dataflow::event::EVENT_BYTES_MAX;
/// Partitions that a log may have.
pub const PARTITIONS_MAX: u32 = 4_096;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The partition, from 0.
    pub partition: u32,
    /// The place in the partition, from 0.
    pub offset: u64,
}

impl fmt::Display for Position {
    /// `partition:offset`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

/// A record by which a log is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landmark {
    /// Where it stands.
    pub position: Position,
    /// Its fingerprint: xxh3-64 of all that the log keeps of it.
    pub hash: u64,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What decides the partition; not stored.
    pub key: &'a str,
    /// What is stored, at most [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: Bytes,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the partition.
    pub offset: u64,
    /// Its key, as bytes that others may have written; none where the log does not keep keys.
    pub key: Option<Bytes>,
    /// What was appended; none in a tombstone, which says that what its key names is gone.
    pub payload: Option<Bytes>,
}

impl Stored {
    /// Of its payload: xxh3-64, seed 0.
    fn fingerprint(&self) -> u64 {
        xxh3_64(self.payload.as_deref().unwrap_or_default())
    }
}

/// What one read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The records, in the order of their offsets.
    pub records: Vec<Stored>,
    /// The offset to go on from: behind the last record, and behind what no reader sees (marks and records
    /// of transactions that came to nothing).
    pub next: u64,
}

impl Read {
    /// Records without a gap.
    pub(crate) fn of(from: u64, records: Vec<Stored>) -> Self {
        Read { next: from + records.len() as u64, records }
    }
}

/// What went wrong, by what the caller must do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing of the batch was written, and the log goes on: mend the batch, or send it again.
    #[error("batch was not appended: {reason}")]
    NotAppended {
        /// Why.
        reason: String,
    },
    /// All of the batch, a part or nothing may be on the log: send it again if doubles are harmless,
    /// or read the log to find out.
    #[error("batch may or may not have been appended: {reason}")]
    MaybeAppended {
        /// Why.
        reason: String,
    },
    /// Nothing of the batch was written, and nothing will be until the log is opened again: stop
    /// accepting, tell the operator.
    #[error("{}: log takes no more appends until it is opened again: {reason}", path.display())]
    Unwritable {
        /// The folder of the log, or the address of its topic.
        path: PathBuf,
        /// The first failure.
        reason: String,
    },
    /// The log was closed: stop.
    #[error("log is closed")]
    Closed,
    /// What is stored is not what was written: stop, and restore from a snapshot or a copy.
    #[error("{}: log is corrupt: {detail}", path.display())]
    Corrupt {
        /// The folder or file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The disk or the broker did not answer a read: try again, or stop.
    #[error("{}: reading the log failed: {reason}", path.display())]
    Unreadable {
        /// The folder of the log, or the address of its topic.
        path: PathBuf,
        /// What the disk or the broker said.
        reason: String,
    },
    /// Records from this offset on were deleted before they were read: stop, since what they said is lost.
    #[error(
        "offset {position} is gone, the partition begins at {begin}: records were deleted (retention?) before \
         they were read. Start from a snapshot that reaches {begin}, or from an empty state with a topic that \
         still has all events; then give the topic a longer retention"
    )]
    Gap {
        /// What was asked for.
        position: Position,
        /// Where the partition begins now.
        begin: u64,
    },
    /// The topic is not there, or is not there any more: stop.
    #[error("{}: no such topic: {detail}. If it was deleted, its events are gone: start from an empty state \
             with a topic that has all of them", path.display())]
    NoTopic {
        /// The address of the topic.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The offset is past the end, so it belongs to another log, or this one was cut: stop.
    #[error(
        "offset {position} is past the end of its partition, {end}: this is another log, or one that was cut \
         or made again. Point to the log that this state is from, or start from an empty state"
    )]
    PastEnd {
        /// What was asked for.
        position: Position,
        /// The end of that partition.
        end: u64,
    },
    /// Another record stands where one was known: this is another log: stop.
    #[error(
        "{}: the record at {position} is gone, or another one: this is another log, one that was deleted and made \
         again. Point to the log that this state is from, or start from an empty state", path.display()
    )]
    OtherLog {
        /// The address of the topic.
        path: PathBuf,
        /// Where the landmark was.
        position: Position,
    },
    /// There is no such partition: mend the caller.
    #[error("no partition {partition}: the log has {partitions}")]
    NoPartition {
        /// What was asked for.
        partition: u32,
        /// How many there are.
        partitions: u32,
    },
}

/// The log. See the [module](self) for the contract.
pub trait Log: Send + Sync {
    /// How many partitions there are. It never shrinks, and grows only where others may make it grow (Kafka).
    fn partitions(&self) -> u32;

    /// Appends the records and returns their positions, in the order of the records, once they are durable.
    /// An empty batch is answered at once.
    ///
    /// # Errors
    /// [`Error::NotAppended`], [`Error::MaybeAppended`], [`Error::Unwritable`], [`Error::Closed`].
    fn append(&self, records: &[Record<'_>]) -> Result<Vec<Position>, Error>;

    /// Reads records of a partition from offset `from` on: as many as are at hand and have `bytes_max` bytes
    /// of keys and payloads together, but at least one if one is. Does not wait: where there is more before
    /// the end, but not at hand yet, [`wait`](Log::wait) brings it.
    ///
    /// # Errors
    /// [`Error::PastEnd`], [`Error::Gap`], [`Error::OtherLog`], [`Error::NoPartition`], [`Error::NoTopic`],
    /// [`Error::Corrupt`], [`Error::Unreadable`].
    fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Read, Error>;

    /// One record, for whoever looks back: it does not disturb the reader. None if there is none (any more).
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Unreadable`].
    fn at(&self, position: Position) -> Result<Option<Stored>, Error> {
        match self.read(position.partition, position.offset, 1) {
            Ok(read) => Ok(read.records.into_iter().next().filter(|found| found.offset == position.offset)),
            Err(Error::PastEnd { .. } | Error::Gap { .. } | Error::NoPartition { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Bytes of records that were fetched from far away and wait to be read; metrics tell it.
    fn held(&self) -> u64 {
        0
    }

    /// The first offset that can be read: 0, but for logs that forget.
    ///
    /// # Errors
    /// Those of [`end`](Log::end).
    fn begin(&self, partition: u32) -> Result<u64, Error> {
        self.end(partition).map(|_| 0)
    }

    /// The offset that the next record of this partition will have. (In Kafka, that of the oldest transaction
    /// that is still open, if there is one.)
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::Unreadable`].
    fn end(&self, partition: u32) -> Result<u64, Error>;

    /// By partition, where it ended a moment ago. Never asks far away, so it suits metrics; empty if that is not
    /// known yet.
    fn recent_ends(&self) -> Vec<u64> {
        (0..self.partitions()).filter_map(|partition| self.end(partition).ok()).collect()
    }

    /// Waits until [`read`](Log::read) at `offset` gives a record or a greater next offset. False when the
    /// time is over.
    ///
    /// # Errors
    /// [`Error::Closed`], once there is nothing more to read, and those of [`read`](Log::read).
    fn wait(&self, partition: u32, offset: u64, timeout: Duration) -> Result<bool, Error>;

    /// Tells others how far the reader is, `next` by partition, where the log has a place for that (Kafka's
    /// groups): for dashboards, never read back. Does not wait; what goes wrong is logged.
    fn commit(&self, _next: &[u64]) {}

    /// What this log is known by, to be kept wherever offsets of it are kept; none as long as there is no record.
    fn landmark(&self) -> Option<Landmark> {
        let first =
            |partition| Some((partition, self.read(partition, 0, 1).ok()?.records.into_iter().next()?));
        let (partition, first) = (0..self.partitions()).find_map(first)?;
        let position = Position { partition, offset: first.offset };
        Some(Landmark { position, hash: first.fingerprint() })
    }

    /// Looks whether this is the log that the landmark is from, as far as can be told: a landmark that retention
    /// or compaction took away proves nothing.
    ///
    /// # Errors
    /// [`Error::OtherLog`], [`Error::Unreadable`].
    fn recognise(&self, landmark: &Landmark) -> Result<(), Error> {
        let Landmark { position, hash } = *landmark;
        let there = match self.read(position.partition, position.offset, 1) {
            Ok(read) => read.records.into_iter().next(),
            Err(Error::PastEnd { .. } | Error::NoPartition { .. }) => None,
            Err(error) => return Err(error),
        };
        match there.is_some_and(|record| record.fingerprint() == hash) {
            true => Ok(()),
            false => Err(Error::OtherLog { path: "the log".into(), position }),
        }
    }

    /// Ends all waiting and takes no more appends; what was accepted is still finished, and what is durable
    /// can still be read. Closing twice is harmless.
    fn close(&self);
}

/// The partition of a key: xxh3-64 (seed 0) modulo `partitions`. Fixed for ever.
///
/// # Panics
/// If `partitions` is 0, which no log has.
pub fn partition_of(key: &str, partitions: u32) -> u32 {
    (xxh3_64(key.as_bytes()) % u64::from(partitions)) as u32
}

/// Refuses a batch with a payload that is too large, naming it.
pub(crate) fn check(records: &[Record<'_>]) -> Result<(), Error> {
    match records.iter().position(|record| record.payload.len() > PAYLOAD_BYTES_MAX) {
        None => Ok(()),
        Some(index) => Err(Error::NotAppended {
            reason: format!(
                "record {index} has {} bytes, more than {PAYLOAD_BYTES_MAX}",
                records[index].payload.len()
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_fixed_for_ever() {
        let keys = ["", "mpd:playlist:7", "spotify:playlist:37i9dQZF1DXcBWIGoYBM5M"];
        assert_eq!(keys.map(|key| partition_of(key, 1)), [0, 0, 0]);
        assert_eq!(keys.map(|key| partition_of(key, 1_000)), [138, 395, 243]);
    }
}
