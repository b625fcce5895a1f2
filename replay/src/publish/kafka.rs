//! Events onto a Kafka topic, each with its key: the playlist's URI, or the track's.
//!
//! Invariant: batches follow one another, each on the topic before the next is sent, so one playlist's events
//! keep their order; a batch whose acknowledgement was lost arrives twice, which changes nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use segue_connectors::kafka::{Kafka, Settings, topics};
use segue_connectors::log::{Error, Log, Record};

use super::{Batch, Clock, RETRY_MS_MAX, Receipt, SystemClock, Target, TargetError};

/// Sends to one topic.
pub struct KafkaTarget {
    log: Kafka,
    /// For messages.
    name: String,
    clock: SystemClock,
}

impl KafkaTarget {
    /// A target on the topic of these settings, which is made with so many partitions if it is not there and
    /// `create` says so.
    ///
    /// # Errors
    /// [`TargetError::Kafka`].
    pub fn open(settings: &Settings, create: Option<u32>) -> Result<Self, TargetError> {
        let wrong = |error: segue_connectors::kafka::OpenError| TargetError::Kafka(error.to_string());
        if let Some(partitions) = create {
            topics::create(settings, &settings.topic, partitions).map_err(wrong)?;
        }
        let log = Kafka::open(settings).map_err(wrong)?;
        let name = format!("kafka://{}/{}", settings.brokers, settings.topic);
        Ok(KafkaTarget { log, name, clock: SystemClock::default() })
    }
}

impl Target for KafkaTarget {
    fn send(&mut self, batch: &Batch, interrupted: &AtomicBool) -> Result<Receipt, TargetError> {
        let ndjson = Bytes::copy_from_slice(batch.ndjson());
        let records: Vec<Record<'_>> =
            batch.keyed().map(|(key, at)| Record { key, payload: ndjson.slice(at) }).collect();
        let started = self.clock.elapsed();
        loop {
            // It has waited for the broker as long as `message.timeout.ms` says.
            let last = match self.log.append(&records) {
                Ok(_) => return Ok(Receipt::all(batch)),
                Err(Error::MaybeAppended { reason }) => reason,
                Err(error) => return Err(TargetError::Kafka(error.to_string())),
            };
            if interrupted.load(Ordering::Relaxed) {
                return Err(TargetError::Interrupted);
            }
            let tried = self.clock.elapsed() - started;
            if tried.as_millis() as u64 > RETRY_MS_MAX {
                return Err(TargetError::Unavailable {
                    target: self.name.clone(),
                    tried_s: tried.as_secs(),
                    last,
                });
            }
        }
    }

    fn finish(&mut self, _interrupted: &AtomicBool) -> Result<(), TargetError> {
        Ok(())
    }
}
