//! What a topic is known by: its first record, looked at now and then. Topic ids would say it better, but
//! librdkafka passes over a changed one in silence and its Rust interface has no way to ask.
//!
//! No topic gives an offset twice, so another record at the landmark's place, or an end before it, is proof of
//! another topic. A landmark that retention or compaction took away proves nothing: the first record that is
//! left takes its place.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use xxhash_rust::xxh3::Xxh3;

use super::scan::{SLICE, scan};
use super::settings::Role;
use super::source::stored;
use super::watch::PATIENCE;
use super::{Context, OpenError, Settings};
use crate::log::{Error, Landmark, Position, Stored};

/// One record is wanted, no more than its batch.
const SMALL: [(&str, &str); 4] = [
    ("queued.min.messages", "1"),
    ("fetch.message.max.bytes", "1024"),
    ("fetch.wait.max.ms", "100"),
    ("statistics.interval.ms", "0"),
];

/// Looks at single records and commits offsets, beside the reader.
pub(super) struct Surveyor {
    consumer: BaseConsumer<Context>,
    topic: String,
    address: PathBuf,
}

impl Surveyor {
    /// Asks no broker.
    pub(super) fn open(settings: &Settings) -> Result<Self, OpenError> {
        let mut small = settings.clone();
        small.properties.extend(SMALL.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let consumer = small.create(Role::Consumer, Context::default())?;
        let topic = settings.topic.clone();
        Ok(Surveyor { consumer, address: settings.address(&topic), topic })
    }

    /// A landmark of a topic that ends here by partition; none if it holds no record.
    pub(super) fn take(&self, ends: &[u64]) -> Result<Option<Landmark>, Error> {
        for (partition, _) in ends.iter().enumerate().filter(|(_, end)| **end > 0) {
            if let (_, Some(found)) = self.first(Position { partition: partition as u32, offset: 0 })? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether the topic is still the one of this landmark; and what it is known by from here on.
    pub(super) fn look(&self, known: &Landmark) -> Result<Option<Landmark>, Error> {
        let (end, found) = self.first(known.position)?;
        let is_other = end <= known.position.offset
            || found.is_some_and(|found| found.position == known.position && found != *known);
        if is_other {
            return Err(Error::OtherLog { path: self.address.clone(), position: known.position });
        }
        Ok(found)
    }

    /// Writes the group's offsets, by partition. Does not wait.
    pub(super) fn commit(&self, next: &[u64]) {
        let mut offsets = TopicPartitionList::with_capacity(next.len());
        let added = next.iter().enumerate().try_for_each(|(partition, next)| {
            offsets.add_partition_offset(&self.topic, partition as i32, Offset::Offset(*next as i64))
        });
        if let Err(error) = added.and_then(|()| self.consumer.commit(&offsets, CommitMode::Async)) {
            tracing::warn!("{}: the group's offsets were not written: {error}", self.address.display());
        } else {
            // It is answered at the next poll at the earliest.
            self.consumer.context().unanswered.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Closes its client, once its commits are answered or have waited long enough. What has not been sent to a
    /// broker that is away librdkafka tries for ever, and closes no client meanwhile: it is left to the end of the
    /// process.
    pub(super) fn end(self) {
        let begun = Instant::now();
        let is_waiting = || self.consumer.context().unanswered.load(Ordering::SeqCst) > 0;
        while is_waiting() && begun.elapsed() < PATIENCE {
            drop(self.consumer.poll(SLICE));
        }
        if is_waiting() {
            let address = self.address.display();
            tracing::warn!(
                "{address}: the group's last offsets, which only dashboards read, were not written"
            );
            std::mem::forget(self.consumer);
        }
    }

    /// The record at this position, if it is there.
    pub(super) fn at(&self, position: Position) -> Result<Option<Stored>, Error> {
        Ok(self.from(position, |message| stored(message))?.1.filter(|found| found.offset == position.offset))
    }

    /// The end of a partition, and its first record that is not before this position.
    fn first(&self, from: Position) -> Result<(u64, Option<Landmark>), Error> {
        self.from(from, |message| {
            let position = Position { offset: message.offset().max(0) as u64, ..from };
            Landmark { position, hash: hash(message) }
        })
    }

    /// The same, with what is wanted of it.
    fn from<T>(
        &self,
        from: Position,
        want: impl Fn(&BorrowedMessage<'_>) -> T,
    ) -> Result<(u64, Option<T>), Error> {
        let mut found = None;
        let scanned = scan(&self.consumer, &self.topic, from, PATIENCE, |message| {
            found = Some(want(message));
            false
        });
        let end = scanned
            .map_err(|error| Error::Unreadable { path: self.address.clone(), reason: error.to_string() })?;
        Ok((end, found))
    }
}

/// Of the time at which it was written, too: the same events may be there again.
fn hash<M: Message>(message: &M) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&message.timestamp().to_millis().unwrap_or(-1).to_le_bytes());
    for part in [message.key(), message.payload()] {
        let part = part.unwrap_or_default();
        hash.update(&part.len().to_le_bytes());
        hash.update(part);
    }
    hash.digest()
}
