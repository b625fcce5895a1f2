//! The log on Kafka: one topic, whose offsets are the log's.
//!
//! Reading order: `settings` is the section of the configuration; this file is the [`Log`]; `source` reads,
//! `sink` appends; [`topics`] makes topics; [`dead_letters`] is where records go that are no
//! events.
//!
//! - Partitions are assigned by hand and read from the offset that [`Log::read`] is asked for. What Kafka
//!   remembers for the group is written for dashboards ([`Log::commit`]) and never read.
//! - A key's partition is (murmur2(key) & 0x7fffffff) % partitions, as in Kafka's own clients. Adding
//!   partitions moves keys: let readers catch up before anything is produced to the new ones.
//! - Each partition has a queue of its own, bounded in bytes. Where nobody reads, librdkafka pauses fetching
//!   once the queue is full; the records stay with the broker.
//! - Kafka's topic ids cannot be asked for by librdkafka's reader. So a topic that was deleted and made again
//!   while nobody looked is recognised by its offsets: until the new one has as many records as the old had.

pub mod dead_letters;
mod settings;
mod sink;
mod source;
pub mod topics;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientContext, TopicPartitionList};

use crate::log::{Error, Log, PARTITIONS_MAX, Position, Read, Record, check};
use settings::Role;
pub use settings::{Settings, is_secret};
use sink::{Outgoing, Sink};
use source::Source;

/// How long a broker may take to answer a question about the topic.
const ANSWER: Duration = Duration::from_secs(10);
/// How often the topic is looked at: for new partitions, and for its ends.
const WATCH: Duration = Duration::from_secs(1);

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

/// What librdkafka tells besides records.
pub(crate) struct Context;

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!("kafka: {error}: {reason}");
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::warn!(
                "kafka: the group's offsets, which only dashboards read, were not written: {error}"
            );
        }
    }
}

/// The log on Kafka.
pub struct Kafka {
    source: Source,
    sink: Sink,
    shared: Arc<Shared>,
    watcher: Option<JoinHandle<()>>,
}

/// What the threads of one log know of its topic.
struct Shared {
    topic: String,
    /// For messages.
    address: std::path::PathBuf,
    partitions: AtomicU32,
    /// As they were when the watcher last looked.
    ends: Mutex<Vec<u64>>,
    closed: AtomicBool,
}

impl Kafka {
    /// Connects, and looks whether the topic is there.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let consumer: Arc<BaseConsumer<Context>> = Arc::new(settings.create(Role::Consumer, Context)?);
        let partitions = topics::partitions(&consumer, settings, &settings.topic)?;
        let shared = Arc::new(Shared {
            topic: settings.topic.clone(),
            address: settings.address(&settings.topic),
            partitions: AtomicU32::new(partitions),
            ends: Mutex::new(Vec::new()),
            closed: AtomicBool::new(false),
        });
        let watcher = Builder::new().name("kafka".to_owned()).spawn({
            let (consumer, shared) = (Arc::clone(&consumer), Arc::clone(&shared));
            move || watch(&consumer, &shared)
        });
        let watcher =
            watcher.map_err(|error| OpenError::Settings { detail: format!("no thread: {error}") })?;
        Ok(Kafka {
            source: Source::new(consumer, Arc::clone(&shared)),
            sink: Sink::open(settings, &settings.topic)?,
            shared,
            watcher: Some(watcher),
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

/// Serves librdkafka's events, and looks at the topic now and then, until the log is closed.
fn watch(consumer: &BaseConsumer<Context>, shared: &Shared) {
    let mut looked: Option<Instant> = None;
    while !shared.closed.load(Ordering::SeqCst) {
        // Records do not come here: each partition has its queue.
        if let Some(Err(error)) = consumer.poll(WATCH / 10) {
            tracing::debug!("kafka: {error}");
        }
        if looked.is_some_and(|at| at.elapsed() < WATCH) {
            continue;
        }
        looked = Some(Instant::now());
        if let Ok(metadata) = consumer.fetch_metadata(Some(&shared.topic), WATCH) {
            let there = metadata.topics().iter().map(|topic| topic.partitions().len() as u32).sum();
            let before = shared.partitions.fetch_max(there, Ordering::SeqCst);
            if there > before {
                tracing::info!("{}: {there} partitions, {before} before", shared.address.display());
            }
        }
        if let Ok(ends) = source::ends(consumer, shared) {
            *shared.ends.lock().unwrap_or_else(PoisonError::into_inner) = ends;
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
        self.sink.send(records.iter().map(|record| Outgoing {
            partition: None,
            key: Some(record.key.as_bytes()),
            payload: Some(&record.payload),
            headers: None,
        }))
    }

    fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Read, Error> {
        self.source.read(partition, from, bytes_max)
    }

    fn begin(&self, partition: u32) -> Result<u64, Error> {
        Ok(self.source.bounds(partition)?.0)
    }

    fn end(&self, partition: u32) -> Result<u64, Error> {
        Ok(self.source.bounds(partition)?.1)
    }

    fn recent_ends(&self) -> Vec<u64> {
        self.shared.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait(&self, partition: u32, offset: u64, timeout: Duration) -> Result<bool, Error> {
        self.source.wait(partition, offset, timeout)
    }

    fn commit(&self, next: &[u64]) {
        self.source.commit(next);
    }

    fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
    }
}
