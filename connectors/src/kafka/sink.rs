//! Appending: an idempotent producer, and calls that return when the broker has their records.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
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
    /// None: that of the key.
    pub(super) partition: Option<i32>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) payload: Option<&'a [u8]>,
    pub(super) headers: Option<OwnedHeaders>,
}

/// What became of a record; none if it was not tried.
pub(super) type Sent = Option<Result<Position, KafkaError>>;

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
        self.all(self.deliver(records))
    }

    /// Sends the records and waits until each has come to its end.
    pub(super) fn deliver<'a>(&self, records: impl ExactSizeIterator<Item = Outgoing<'a>>) -> Vec<Sent> {
        let producer = Arc::clone(&self.producer.lock());
        let sent = vec![None; records.len()];
        let batch = Arc::new(Batch { state: Mutex::new(State { sent, left: 0 }), news: Condvar::new() });
        for (index, record) in records.enumerate() {
            batch.state.lock().left += 1;
            if let Err(error) = self.enqueue(&producer, &batch, index, record) {
                batch.settle(index, Err(error));
                break;
            }
        }
        let mut state = batch.state.lock();
        batch.news.wait_while(&mut state, |state| state.left > 0);
        let sent = std::mem::take(&mut state.sent);
        drop(state);
        if sent.iter().flatten().any(Result::is_err)
            && let Some((code, reason)) = producer.client().fatal_error()
        {
            self.replace(&producer, &format!("{code}: {reason}"));
        }
        sent
    }

    /// Where the records are, if all of them are there.
    pub(super) fn all(&self, sent: Vec<Sent>) -> Result<Vec<Position>, Error> {
        let mut failed = sent.iter().flatten().filter_map(|sent| sent.as_ref().err());
        let Some(first) = failed.next() else { return Ok(sent.into_iter().flatten().flatten().collect()) };
        let reason = format!("{}: {first}", self.address.display());
        let none_is_there = is_certain(first) && failed.all(is_certain);
        Err(if none_is_there && !sent.iter().flatten().any(Result::is_ok) {
            Error::NotAppended { reason }
        } else {
            Error::MaybeAppended { reason }
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
        record.partition = from.partition;
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                    record = back;
                    batch.news.wait_for(&mut batch.state.lock(), ROOM);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    fn replace(&self, broken: &Arc<ThreadedProducer<Deliveries>>, reason: &str) {
        tracing::warn!("{}: a new producer takes over: {reason}", self.address.display());
        let mut producer = self.producer.lock();
        if Arc::ptr_eq(&producer, broken)
            && let Ok(new) = self.settings.create(Role::Producer, Deliveries)
        {
            *producer = Arc::new(new);
        }
    }
}

/// The records of one call.
struct Batch {
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    sent: Vec<Sent>,
    /// Records on their way.
    left: usize,
}

impl Batch {
    /// One record has come to its end.
    fn settle(&self, index: usize, result: Result<Position, KafkaError>) {
        let mut state = self.state.lock();
        state.left -= 1;
        state.sent[index] = Some(result);
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
    /// librdkafka's own log says it too, and less often.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("kafka: {error}: {reason}");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let Ticket { batch, index } = *ticket;
        match result {
            Ok(message) => {
                let (partition, offset) = (message.partition() as u32, message.offset().max(0) as u64);
                batch.settle(index, Ok(Position { partition, offset }));
            }
            Err((error, _)) => batch.settle(index, Err(error.clone())),
        }
    }
}
