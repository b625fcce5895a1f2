//! Reading what a partition holds now, once, beside the log's reader.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::Context;
use crate::log::Position;

/// How long to wait for a record before looking whether there is one.
pub(super) const SLICE: Duration = Duration::from_millis(100);

/// Shows the records of a partition that are not before `from`, as long as `show` wants more; returns where the
/// partition ended when this began. Gives up once nothing was heard for as long as `patience`.
pub(super) fn scan(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    from: Position,
    patience: Duration,
    mut show: impl FnMut(&BorrowedMessage<'_>) -> bool,
) -> KafkaResult<u64> {
    let partition = from.partition as i32;
    let (begin, end) = consumer.fetch_watermarks(topic, partition, patience)?;
    let mut next = begin.max(i64::try_from(from.offset).unwrap_or(i64::MAX));
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(topic, partition, Offset::Offset(next))?;
    consumer.assign(&list)?;
    let mut heard = Instant::now();
    while next < end {
        match consumer.poll(SLICE) {
            Some(Ok(message)) => {
                (next, heard) = (message.offset() + 1, Instant::now());
                if !show(&message) {
                    break;
                }
            }
            failed if heard.elapsed() > patience => {
                let error = failed.and_then(Result::err);
                return Err(error.unwrap_or(KafkaError::MessageConsumption(Code::OperationTimedOut)));
            }
            // It comes back by itself.
            Some(Err(error)) => tracing::debug!("{topic}: {error}"),
            // Marks of transactions are no records.
            None => {
                let positions = consumer.position().unwrap_or_default();
                let here = positions.find_partition(topic, partition).map(|here| here.offset());
                if let Some(Offset::Offset(offset)) = here {
                    next = next.max(offset);
                }
            }
        }
    }
    consumer.unassign()?;
    Ok(end.max(0) as u64)
}
