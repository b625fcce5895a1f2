//! What librdkafka tells besides records: how much it holds, and why nobody answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::metadata::Metadata;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};

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
            *self.trouble.lock() = Some(reason.to_owned());
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
        let trouble = consumer.context().trouble.lock().take();
        OpenError::Unreachable {
            address: settings.address(topic).display().to_string(),
            reason: trouble.map_or_else(|| error.to_string(), advised),
        }
    })
}

/// A reason with what to do about it: of a certificate that nobody knows, librdkafka mostly says so itself.
fn advised(reason: String) -> String {
    match reason.contains("certificate verify failed") && !reason.contains("ssl.ca.location") {
        true => format!("{reason}: verify that ssl.ca.location is correctly configured"),
        false => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_does_not_know_the_certificate_is_told_where_to_look_once() {
        for (reason, told) in [
            ("certificate verify failed (after 13ms in state SSL_HANDSHAKE)", 1),
            ("certificate verify failed: verify that ssl.ca.location is correctly configured or …", 1),
            ("SASL authentication error: Invalid username or password", 0),
        ] {
            let said = advised(reason.to_owned());
            assert!(said.starts_with(reason), "{said}");
            assert_eq!(said.matches("verify that ssl.ca.location is correctly configured").count(), told);
        }
    }
}
