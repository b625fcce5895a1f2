//! The one thread that writes: it takes what all callers have waiting, writes it as one batch of the
//! store, syncs once and answers everybody.
//!
//! Invariant: offsets are given out here only, and an end is raised only after the write that reaches it
//! succeeded. After the first failed write nothing more is written: the store's state is then unknown, and
//! only opening the folder again finds it out.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use bytes::Bytes;
use fjall::{Database, Keyspace, PersistMode};
use parking_lot::Mutex;

use super::{SyncMode, key};
use crate::ends::Ends;
use crate::log::{Error, Position, Record, partition_of};
use crate::step::step;

/// Callers that may wait in line; the next ones wait at the door. Each caller holds its own payloads.
const WAITING_MAX: usize = 1_024;
/// Bytes of payload after which a batch of the store is closed, even if more is waiting.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// One call of append, on its way to the thread.
struct Request {
    records: Vec<(u32, Bytes)>,
    answer: SyncSender<Result<Vec<Position>, Error>>,
}

pub(super) struct Committer {
    /// None once closed.
    line: Mutex<Option<SyncSender<Request>>>,
    thread: Option<JoinHandle<()>>,
    partitions: u32,
    path: PathBuf,
    failure: Arc<OnceLock<String>>,
}

impl Committer {
    pub(super) fn start(
        store: Database,
        records: Keyspace,
        ends: Arc<Ends>,
        path: PathBuf,
        sync: SyncMode,
    ) -> std::io::Result<Self> {
        let (line, waiting) = sync_channel(WAITING_MAX);
        let failure = Arc::new(OnceLock::new());
        let next = ends.all();
        let partitions = next.len() as u32;
        let writer = Writer {
            store,
            records,
            ends,
            next,
            mode: sync.into(),
            path: path.clone(),
            failure: failure.clone(),
        };
        let thread =
            std::thread::Builder::new().name("segue-log".into()).spawn(move || writer.run(&waiting))?;
        Ok(Committer { line: Mutex::new(Some(line)), thread: Some(thread), partitions, path, failure })
    }

    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    pub(super) fn append(&self, records: &[Record<'_>]) -> Result<Vec<Position>, Error> {
        let line = self.line.lock().clone().ok_or(Error::Closed)?;
        if let Some(reason) = self.failure.get() {
            return Err(Error::Unwritable { path: self.path.clone(), reason: reason.clone() });
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let records = records
            .iter()
            .map(|record| (partition_of(record.key, self.partitions), record.payload.clone()))
            .collect();
        let (answer, answered) = sync_channel(1);
        line.send(Request { records, answer }).map_err(|_| Error::Closed)?;
        answered.recv().unwrap_or_else(|_| {
            Err(Error::MaybeAppended { reason: "the thread that writes the log ended".to_owned() })
        })
    }

    /// Takes no more; the thread ends when the line is empty.
    pub(super) fn close(&self) {
        *self.line.lock() = None;
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the thread that writes the log panicked");
        }
    }
}

/// What the thread owns.
struct Writer {
    store: Database,
    records: Keyspace,
    ends: Arc<Ends>,
    /// The next offset, by partition.
    next: Vec<u64>,
    mode: PersistMode,
    path: PathBuf,
    failure: Arc<OnceLock<String>>,
}

impl Writer {
    fn run(mut self, waiting: &Receiver<Request>) {
        while let Ok(first) = waiting.recv() {
            let mut group = vec![first];
            let mut bytes = bytes_of(&group[0]);
            while bytes < BATCH_BYTES_MAX
                && let Ok(request) = waiting.try_recv()
            {
                bytes += bytes_of(&request);
                group.push(request);
            }
            self.commit(group);
        }
    }

    /// Writes the group and answers its callers. One that has gone away needs no answer.
    fn commit(&mut self, group: Vec<Request>) {
        if let Some(reason) = self.failure.get() {
            for request in group {
                let refusal = Error::Unwritable { path: self.path.clone(), reason: reason.clone() };
                let _ = request.answer.send(Err(refusal));
            }
            return;
        }
        let mut batch = self.store.batch().durability(Some(self.mode));
        let mut answers = Vec::with_capacity(group.len());
        for request in group {
            let mut positions = Vec::with_capacity(request.records.len());
            for (partition, payload) in request.records {
                let next = &mut self.next[partition as usize];
                // A copy: the payload may be a slice of a large request that the store would keep alive.
                batch.insert(&self.records, key(partition, *next), &payload[..]);
                positions.push(Position { partition, offset: *next });
                *next += 1;
            }
            answers.push((request.answer, positions));
        }
        step!("log::write");
        match batch.commit() {
            Ok(()) => {
                step!("log::written");
                self.ends.raise(self.next.clone());
                for (answer, positions) in answers {
                    let _ = answer.send(Ok(positions));
                }
            }
            Err(error) => {
                let failure = self.failed(&error);
                for (answer, _) in answers {
                    let _ = answer.send(Err(failure.clone()));
                }
            }
        }
    }

    /// Ends all appending, and says what became of the batch that failed.
    fn failed(&self, error: &fjall::Error) -> Error {
        let (nothing_written, reason) = match error {
            // Refused before anything was written: the store's own thread had failed.
            fjall::Error::Poisoned => {
                (true, "the store failed to write its tables; is the disk full?".to_owned())
            }
            fjall::Error::Io(error) => (false, error.to_string()),
            other => (false, other.to_string()),
        };
        tracing::error!(path = %self.path.display(), %reason, "log takes no more appends");
        let reason = self.failure.get_or_init(|| reason).clone();
        if nothing_written {
            Error::Unwritable { path: self.path.clone(), reason }
        } else {
            Error::MaybeAppended { reason }
        }
    }
}

fn bytes_of(request: &Request) -> usize {
    request.records.iter().map(|(_, payload)| payload.len()).sum()
}
