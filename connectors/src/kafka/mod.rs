//! The log on Kafka: one topic, whose offsets are the log's.
//!
//! Reading order: `settings` is the section of the configuration; this file is the [`Log`]; `source` reads,
//! `sink` appends; `context` is what clients tell besides; `watch` looks at the topic now and then, `landmark` knows
//! it again; [`topics`] makes topics;
//! [`dead_letters`] is where records go that are no events.
//!
//! - Partitions are assigned by hand and read from the offset that [`Log::read`] is asked for. What Kafka
//!   remembers for the group is written for dashboards ([`Log::commit`]) and never read.
//! - A key's partition is (murmur2(key) & 0x7fffffff) % partitions, as in Kafka's own clients. Adding
//!   partitions moves keys: let readers catch up before anything is produced to the new ones.
//! - Each partition has a queue of its own, bounded in bytes. Where nobody reads, librdkafka pauses fetching
//!   once the queue is full; the records stay with the broker.
//! - A topic that was deleted and made again is noticed: if it has fewer records than were read, when they are
//!   asked for; otherwise by its first record, a few seconds later (`landmark`). Whoever keeps offsets keeps
//!   [`Log::landmark`] beside them, and asks [`Log::recognise`] before it goes on from them.

mod context;
pub mod dead_letters;
mod landmark;
mod scan;
mod settings;
mod sink;
mod source;
pub mod topics;
mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;

use crate::log::{Error, Landmark, Log, PARTITIONS_MAX, Position, Read, Record, Stored, check};
use crate::step::step;
use context::Context;
use landmark::Surveyor;
use settings::Role;
pub use settings::{Settings, is_secret};
use sink::{Outgoing, Sink};
use source::Source;
use watch::{Shared, watch};

/// How long a broker may take to answer a question about the topic.
const ANSWER: Duration = Duration::from_secs(10);

/// Why Kafka cannot be the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The configuration is wrong: mend it.
    #[error("configuration of Kafka: {detail}")]
    Settings {
        /// Which key, and what is wrong.
        detail: String,
    },
    /// No broker answers: see to it, try again.
    #[error("{address}: no answer from Kafka: {reason}")]
    Unreachable {
        /// The address of the topic.
        address: String,
        /// What came of the attempt.
        reason: String,
    },
    /// There is no such topic.
    #[error("{address}: no such topic; make it with `segue replay … --create-topic --partitions N`")]
    NoTopic {
        /// The address of the topic.
        address: String,
    },
    /// The topic cannot be made.
    #[error("{address}: the topic cannot be made: {reason}")]
    NotCreated {
        /// The address of the topic.
        address: String,
        /// What the broker said.
        reason: String,
    },
    /// The topic has too many partitions.
    #[error("{address}: the topic has {partitions} partitions, at most {PARTITIONS_MAX} are taken")]
    Partitions {
        /// The address of the topic.
        address: String,
        /// How many it has.
        partitions: usize,
    },
}

/// The log on Kafka.
pub struct Kafka {
    source: Source,
    sink: Sink,
    shared: Arc<Shared>,
    settings: Settings,
    watcher: Option<JoinHandle<()>>,
}

impl Kafka {
    /// Connects, and looks whether the topic is there.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let consumer: Arc<BaseConsumer<Context>> =
            Arc::new(settings.create(Role::Consumer, Context::default())?);
        let partitions = topics::partitions(&consumer, settings, &settings.topic)?;
        let shared = Arc::new(Shared::new(settings, partitions));
        let surveyor = Surveyor::open(settings)?;
        let watcher = Builder::new().name("kafka".to_owned()).spawn({
            let (consumer, shared) = (Arc::clone(&consumer), Arc::clone(&shared));
            move || watch(&consumer, surveyor, &shared)
        });
        let watcher =
            watcher.map_err(|error| OpenError::Settings { detail: format!("no thread: {error}") })?;
        Ok(Kafka {
            source: Source::new(consumer, Arc::clone(&shared)),
            sink: Sink::open(settings, &settings.topic)?,
            shared,
            settings: settings.clone(),
            watcher: Some(watcher),
        })
    }

    fn surveyor(&self) -> Result<Surveyor, Error> {
        Surveyor::open(&self.settings).map_err(|error| Error::Unreadable {
            path: self.shared.address.clone(),
            reason: error.to_string(),
        })
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.close();
        if let Some(watcher) = self.watcher.take() {
            drop(watcher.join());
        }
    }
}

impl Log for Kafka {
    fn partitions(&self) -> u32 {
        self.shared.partitions.load(Ordering::SeqCst)
    }

    fn append(&self, records: &[Record<'_>]) -> Result<Vec<Position>, Error> {
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(Error::Closed);
        }
        check(records)?;
        step!("log::write");
        let positions = self.sink.send(records.iter().map(|record| Outgoing {
            partition: None,
            key: Some(record.key.as_bytes()),
            payload: Some(&record.payload),
            headers: None,
        }))?;
        step!("log::written");
        Ok(positions)
    }

    fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Read, Error> {
        self.source.read(partition, from, bytes_max)
    }

    /// By a client of its own: the reader's place is the reader's.
    fn at(&self, position: Position) -> Result<Option<Stored>, Error> {
        self.surveyor()?.at(position)
    }

    fn held(&self) -> u64 {
        self.source.held()
    }

    fn begin(&self, partition: u32) -> Result<u64, Error> {
        Ok(self.source.bounds(partition)?.0)
    }

    fn end(&self, partition: u32) -> Result<u64, Error> {
        Ok(self.source.bounds(partition)?.1)
    }

    fn recent_ends(&self) -> Vec<u64> {
        self.shared.ends.lock().clone()
    }

    fn wait(&self, partition: u32, offset: u64, timeout: Duration) -> Result<bool, Error> {
        self.source.wait(partition, offset, timeout)
    }

    fn commit(&self, next: &[u64]) {
        *self.shared.uncommitted.lock() = Some(next.to_vec());
    }

    fn landmark(&self) -> Option<Landmark> {
        *self.shared.landmark.lock()
    }

    fn recognise(&self, landmark: &Landmark) -> Result<(), Error> {
        self.surveyor()?.look(landmark).map(drop)
    }

    fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
    }
}
