//! Appending: an idempotent producer, and calls that return when the broker has their records.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::settings::Role;
use super::{OpenError, Settings};
use crate::log::{Error, Position};

/// How long to wait for room in the queue before looking again.
const ROOM: Duration = Duration::from_millis(20);

/// A record on its way.
pub(super) struct Outgoing<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) headers: Option<OwnedHeaders>,
}

pub(super) struct Sink {
    /// A producer that lost its place among the broker's sequence numbers is of no use: another takes over.
    producer: Mutex<Arc<ThreadedProducer<Deliveries>>>,
    settings: Settings,
    topic: String,
    address: PathBuf,
}

impl Sink {
    pub(super) fn open(settings: &Settings, topic: &str) -> Result<Self, OpenError> {
        Ok(Sink {
            producer: Mutex::new(Arc::new(settings.create(Role::Producer, Deliveries)?)),
            settings: settings.clone(),
            topic: topic.to_owned(),
            address: settings.address(topic),
        })
    }

    /// Sends the records and waits until the broker has them all.
    pub(super) fn send<'a>(
        &self,
        records: impl ExactSizeIterator<Item = Outgoing<'a>>,
    ) -> Result<Vec<Position>, Error> {
        let producer = Arc::clone(&self.producer());
        let nowhere = Position { partition: 0, offset: 0 };
        let batch = Arc::new(Batch {
            state: Mutex::new(State { positions: vec![nowhere; records.len()], ..State::default() }),
            news: Condvar::new(),
        });
        for (index, record) in records.enumerate() {
            batch.lock().left += 1;
            if let Err(error) = self.enqueue(&producer, &batch, index, record) {
                batch.settle(Err(&error));
                break;
            }
        }
        let state = batch.news.wait_while(batch.lock(), |state| state.left > 0);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let Some(failed) = state.failed.take() else { return Ok(std::mem::take(&mut state.positions)) };
        if let Some((code, reason)) = producer.client().fatal_error() {
            self.replace(&producer, &format!("{code}: {reason}"));
        }
        let reason = format!("{}: {}", self.address.display(), failed.reason);
        Err(if state.delivered > 0 || failed.possibly_there {
            Error::MaybeAppended { reason }
        } else {
            Error::NotAppended { reason }
        })
    }

    fn enqueue(
        &self,
        producer: &ThreadedProducer<Deliveries>,
        batch: &Arc<Batch>,
        index: usize,
        from: Outgoing<'_>,
    ) -> Result<(), KafkaError> {
        let ticket = Box::new(Ticket { batch: Arc::clone(batch), index });
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&self.topic, ticket);
        (record.key, record.payload, record.headers) = (from.key, from.payload, from.headers);
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    drop(batch.news.wait_timeout(batch.lock(), ROOM));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    fn replace(&self, broken: &Arc<ThreadedProducer<Deliveries>>, reason: &str) {
        tracing::warn!("{}: a new producer takes over: {reason}", self.address.display());
        let mut producer = self.producer();
        if Arc::ptr_eq(&producer, broken)
            && let Ok(new) = self.settings.create(Role::Producer, Deliveries)
        {
            *producer = Arc::new(new);
        }
    }

    fn producer(&self) -> MutexGuard<'_, Arc<ThreadedProducer<Deliveries>>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The records of one call.
struct Batch {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    positions: Vec<Position>,
    /// Records on their way.
    left: usize,
    delivered: usize,
    /// The first failure; that a record may be there all the same is never forgotten.
    failed: Option<Failed>,
}

struct Failed {
    reason: String,
    possibly_there: bool,
}

impl Batch {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One record has come to its end.
    fn settle(&self, result: Result<(usize, Position), &KafkaError>) {
        let mut state = self.lock();
        state.left -= 1;
        match result {
            Ok((index, position)) => {
                state.positions[index] = position;
                state.delivered += 1;
            }
            Err(error) => {
                let possibly_there = !is_certain(error);
                let failed =
                    state.failed.get_or_insert_with(|| Failed { reason: error.to_string(), possibly_there });
                failed.possibly_there |= possibly_there;
            }
        }
        drop(state);
        self.news.notify_all();
    }
}

/// Whether a record that failed like this is certainly not on the log.
fn is_certain(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::MessageSizeTooLarge
                | Code::InvalidRecord
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::PolicyViolation
        )
    )
}

/// One record of a batch.
struct Ticket {
    batch: Arc<Batch>,
    index: usize,
}

/// Hands what the broker says to whoever waits for it.
struct Deliveries;

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!("kafka: {error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let Ticket { batch, index } = *ticket;
        match result {
            Ok(message) => {
                let (partition, offset) = (message.partition() as u32, message.offset().max(0) as u64);
                batch.settle(Ok((index, Position { partition, offset })));
            }
            Err((error, _)) => batch.settle(Err(error)),
        }
    }
}
