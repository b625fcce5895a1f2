//! What librdkafka tells besides records: how much it holds, and why nobody answers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::metadata::Metadata;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};

use super::watch::lock;
use super::{ANSWER, OpenError, Settings};

/// How long to wait for one more of what was told meanwhile, and how often.
const MORE: (Duration, usize) = (Duration::from_millis(100), 50);

/// Told by a client when it is polled.
#[derive(Default)]
pub(crate) struct Context {
    /// Bytes of records that it holds for the reader, as of its last statistics.
    pub(super) held: AtomicU64,
    /// Commits of which nothing was heard yet.
    pub(super) unanswered: AtomicU64,
    /// What was wrong with a broker last.
    trouble: Mutex<Option<String>>,
}

impl ClientContext for Context {
    /// librdkafka's own log says it too, and less often.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("kafka: {error}: {reason}");
        // That no broker is left is no cause.
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
            *lock(&self.trouble) = Some(reason.to_owned());
        }
    }

    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        self.held.store(partitions.map(|partition| partition.fetchq_size).sum(), Ordering::Relaxed);
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.unanswered.fetch_sub(1, Ordering::SeqCst);
        if let Err(error) = result {
            tracing::warn!(
                "kafka: the group's offsets, which only dashboards read, were not written: {error}"
            );
        }
    }
}

/// What brokers say of a topic; for a client that nobody polls yet.
///
/// # Errors
/// [`OpenError::Unreachable`], with what was wrong with one last: it is not there, has a certificate that nobody
/// knows, does not know the password.
pub(super) fn ask(
    consumer: &BaseConsumer<Context>,
    settings: &Settings,
    topic: &str,
) -> Result<Metadata, OpenError> {
    consumer.fetch_metadata(Some(topic), ANSWER).map_err(|error| {
        std::iter::from_fn(|| consumer.poll(MORE.0)).take(MORE.1).for_each(drop);
        let trouble = lock(&consumer.context().trouble).take();
        OpenError::Unreachable {
            address: settings.address(topic).display().to_string(),
            reason: trouble.unwrap_or_else(|| error.to_string()),
        }
    })
}
