//! Reading: one cursor a partition, placed where the reader asks and checked against the topic there.
//!
//! Invariant: all that the broker holds below a cursor's `next` was handed out, or is never to be seen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::watch::{PATIENCE, Shared};
use super::{ANSWER, Context};
use crate::log::{Error, Position, Read, Stored};

/// How long a wait goes without looking whether the log was closed or the position moved.
const SLICE: Duration = Duration::from_millis(50);

pub(super) struct Source {
    consumer: Arc<BaseConsumer<Context>>,
    shared: Arc<Shared>,
    cursors: Mutex<BTreeMap<u32, Arc<Mutex<Cursor>>>>,
}

#[derive(Default)]
struct Cursor {
    /// Once it is placed.
    queue: Option<PartitionQueue<Context>>,
    next: u64,
    /// Taken from the queue, but not handed out yet; from `next` on.
    pending: VecDeque<Stored>,
}

impl Source {
    pub(super) fn new(consumer: Arc<BaseConsumer<Context>>, shared: Arc<Shared>) -> Self {
        Source { consumer, shared, cursors: Mutex::default() }
    }

    pub(super) fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Read, Error> {
        let cursor = self.cursor(partition)?;
        let mut cursor = cursor.lock();
        self.place(&mut cursor, partition, from)?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        while let Some(stored) = self.take(&mut cursor, partition, Duration::ZERO)? {
            bytes += [&stored.key, &stored.payload].into_iter().flatten().map(Bytes::len).sum::<usize>();
            if !records.is_empty() && bytes > bytes_max {
                cursor.pending.push_front(stored);
                break;
            }
            cursor.next = stored.offset + 1;
            records.push(stored);
            if bytes >= bytes_max {
                break;
            }
        }
        if records.is_empty() {
            cursor.next = self.position(&cursor, partition);
        }
        Ok(Read { records, next: cursor.next })
    }

    pub(super) fn wait(&self, partition: u32, offset: u64, timeout: Duration) -> Result<bool, Error> {
        let begun = Instant::now();
        let cursor = self.cursor(partition)?;
        loop {
            let left = timeout.saturating_sub(begun.elapsed());
            {
                let mut cursor = cursor.lock();
                self.place(&mut cursor, partition, offset)?;
                if let Some(stored) = self.take(&mut cursor, partition, left.min(SLICE))? {
                    cursor.pending.push_front(stored);
                    return Ok(true);
                }
                if self.position(&cursor, partition) > offset {
                    return Ok(true);
                }
            }
            if self.shared.closed.load(Ordering::SeqCst) {
                return if self.bounds_within(partition, PATIENCE)?.1 > offset {
                    Ok(true)
                } else {
                    Err(Error::Closed)
                };
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }

    /// Bytes that librdkafka holds for readers.
    pub(super) fn held(&self) -> u64 {
        self.consumer.context().held.load(Ordering::Relaxed)
    }

    /// Begin and end of a partition, asked of the broker. The end is that of what is committed.
    pub(super) fn bounds(&self, partition: u32) -> Result<(u64, u64), Error> {
        self.bounds_within(partition, ANSWER)
    }

    fn bounds_within(&self, partition: u32, patience: Duration) -> Result<(u64, u64), Error> {
        self.check(partition)?;
        match self.consumer.fetch_watermarks(&self.shared.topic, partition as i32, patience) {
            Ok((low, high)) => Ok((low.max(0) as u64, high.max(0) as u64)),
            Err(error) if is_unknown_topic(&error) => Err(self.no_topic(&error)),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    fn check(&self, partition: u32) -> Result<(), Error> {
        if let Some(other) = self.shared.other.get() {
            return Err(other.clone());
        }
        let partitions = self.shared.partitions.load(Ordering::SeqCst);
        if partition < partitions { Ok(()) } else { Err(Error::NoPartition { partition, partitions }) }
    }

    fn cursor(&self, partition: u32) -> Result<Arc<Mutex<Cursor>>, Error> {
        self.check(partition)?;
        let mut cursors = self.cursors.lock();
        Ok(Arc::clone(cursors.entry(partition).or_default()))
    }

    /// Sees to it that the cursor goes on at `from`.
    fn place(&self, cursor: &mut Cursor, partition: u32, from: u64) -> Result<(), Error> {
        if cursor.queue.is_some() && from > cursor.next {
            let mut reached = cursor.next;
            while cursor.pending.front().is_some_and(|stored| stored.offset < from) {
                reached = cursor.pending.pop_front().map_or(reached, |stored| stored.offset + 1);
            }
            if reached == from || !cursor.pending.is_empty() {
                cursor.next = from;
            }
        }
        if cursor.queue.is_some() && from == cursor.next {
            Ok(())
        } else {
            self.assign(cursor, partition, from)
        }
    }

    /// Assigns the partition from `from` on, after a look at whether it has that. `auto.offset.reset=error`
    /// alone is not relied upon.
    fn assign(&self, cursor: &mut Cursor, partition: u32, from: u64) -> Result<(), Error> {
        let mut list = TopicPartitionList::with_capacity(1);
        let topic = &self.shared.topic;
        list.add_partition_offset(topic, partition as i32, Offset::Offset(from as i64))
            .map_err(|error| self.unreadable(&error))?;
        // If this fails, the next reader is told the same, and not that there is nothing.
        cursor.pending.clear();
        if cursor.queue.take().is_some() {
            self.consumer.incremental_unassign(&list).map_err(|error| self.unreadable(&error))?;
        }
        let (begin, end) = self.bounds(partition)?;
        let position = Position { partition, offset: from };
        if from < begin {
            return Err(Error::Gap { position, begin });
        }
        if from > end {
            return Err(Error::PastEnd { position, end });
        }
        // Before the first fetch, so that no record goes astray.
        let queue = self.consumer.split_partition_queue(topic, partition as i32);
        self.consumer.incremental_assign(&list).map_err(|error| self.unreadable(&error))?;
        (cursor.queue, cursor.next) = (queue, from);
        Ok(())
    }

    /// The next record, if it comes within the time.
    fn take(&self, cursor: &mut Cursor, partition: u32, timeout: Duration) -> Result<Option<Stored>, Error> {
        if let Some(stored) = cursor.pending.pop_front() {
            return Ok(Some(stored));
        }
        let Some(queue) = &cursor.queue else { return Ok(None) };
        let error = match queue.poll(timeout) {
            None => return Ok(None),
            Some(Ok(message)) => return Ok(Some(stored(&message))),
            Some(Err(error)) => error,
        };
        match error.rdkafka_error_code() {
            // What is the matter is found out by placing the cursor again, with a look at the topic.
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                self.assign(cursor, partition, cursor.next)?;
            }
            _ if is_unknown_topic(&error) => {
                tracing::warn!("{}: {error}", self.shared.address.display());
                self.assign(cursor, partition, cursor.next)?;
            }
            // librdkafka would go on behind these.
            Some(
                Code::BadMessage
                | Code::InvalidMessage
                | Code::InvalidMessageSize
                | Code::MessageSizeTooLarge
                | Code::BadCompression
                | Code::NotImplemented
                | Code::UnsupportedCompressionType,
            ) => {
                let detail = format!("{partition}:{}: {error}", cursor.next);
                return Err(Error::Corrupt { path: self.shared.address.clone(), detail });
            }
            Some(Code::TopicAuthorizationFailed | Code::Fatal) => return Err(self.unreadable(&error)),
            // It comes back by itself.
            _ => tracing::debug!("{}: {error}", self.shared.address.display()),
        }
        Ok(None)
    }

    /// Where the cursor stands, marks that are no records included.
    fn position(&self, cursor: &Cursor, partition: u32) -> u64 {
        if !cursor.pending.is_empty() {
            return cursor.next;
        }
        let positions = self.consumer.position().unwrap_or_default();
        let here = positions.find_partition(&self.shared.topic, partition as i32);
        match here.map(|here| here.offset()) {
            Some(Offset::Offset(offset)) => cursor.next.max(offset.max(0) as u64),
            _ => cursor.next,
        }
    }

    fn unreadable(&self, error: &KafkaError) -> Error {
        Error::Unreadable { path: self.shared.address.clone(), reason: error.to_string() }
    }

    fn no_topic(&self, error: &KafkaError) -> Error {
        Error::NoTopic { path: self.shared.address.clone(), detail: error.to_string() }
    }
}

/// Where all partitions end, in one request a broker.
pub(super) fn ends(consumer: &BaseConsumer<Context>, shared: &Shared) -> Result<Vec<u64>, KafkaError> {
    let partitions = shared.partitions.load(Ordering::SeqCst);
    let mut list = TopicPartitionList::with_capacity(partitions as usize);
    for partition in 0..partitions {
        list.add_partition_offset(&shared.topic, partition as i32, Offset::End)?;
    }
    let found = consumer.offsets_for_times(list, PATIENCE)?;
    let mut ends = vec![0; partitions as usize];
    for element in found.elements() {
        element.error()?;
        if let (Some(end), Offset::Offset(offset)) =
            (ends.get_mut(element.partition() as usize), element.offset())
        {
            *end = offset.max(0) as u64;
        }
    }
    Ok(ends)
}

fn is_unknown_topic(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicId
        )
    )
}

/// A copy, so that a reader does not keep whole fetches alive.
pub(super) fn stored<M: Message>(message: &M) -> Stored {
    let (key, payload) = (message.key(), message.payload());
    let mut bytes = BytesMut::with_capacity(key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len));
    let mut keep = |part: &[u8]| {
        bytes.extend_from_slice(part);
        bytes.split().freeze()
    };
    let (key, payload) = (key.map(&mut keep), payload.map(&mut keep));
    Stored { offset: message.offset().max(0) as u64, key, payload }
}
