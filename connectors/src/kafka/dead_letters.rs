//! The dead-letter topic: records that were no events, as they were, with where they came from and why.
//!
//! The value is the record's payload, byte for byte, and the key its key. Headers, all text: `topic`,
//! `partition`, `offset` of the record, `code` for programs, `detail` for people.

use bytes::Bytes;
use rdkafka::message::{Header, OwnedHeaders};

use super::sink::{Outgoing, Sink};
use super::{OpenError, Settings};
use crate::log::{Error, Position};

/// A record that was no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it stands on the topic of the events.
    pub position: Position,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub detail: String,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its payload.
    pub payload: Option<Bytes>,
}

/// Writes to the dead-letter topic.
pub struct DeadLetterTopic {
    sink: Sink,
    /// Of the events.
    topic: String,
}

impl DeadLetterTopic {
    /// A writer to `settings.dead_letter_topic`.
    ///
    /// # Errors
    /// [`OpenError::Settings`]. That there is no such topic shows when it is written to.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let sink = Sink::open(settings, &settings.dead_letter_topic)?;
        Ok(DeadLetterTopic { sink, topic: settings.topic.clone() })
    }

    /// Writes these records: when this returns, the broker has them. Only then may the reader go on.
    ///
    /// # Errors
    /// [`Error::NotAppended`], [`Error::MaybeAppended`]: try again; a reader of the dead-letter topic tells
    /// doubles by their `partition` and `offset`.
    pub fn push(&self, refused: &[Refused]) -> Result<(), Error> {
        let records = refused.iter().map(|refused| Outgoing {
            key: refused.key.as_deref(),
            payload: refused.payload.as_deref(),
            headers: Some(self.headers(refused)),
        });
        self.sink.send(records).map(drop)
    }

    fn headers(&self, refused: &Refused) -> OwnedHeaders {
        let Position { partition, offset } = refused.position;
        let (partition, offset) = (partition.to_string(), offset.to_string());
        [
            ("topic", &self.topic),
            ("partition", &partition),
            ("offset", &offset),
            ("code", &refused.code),
            ("detail", &refused.detail),
        ]
        .into_iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
    }
}
