//! The dead-letter topic: records that were no events, as they were, with where they came from and why.
//!
//! All go to partition 0, so that a letter's number is its offset. The value is the record's payload, byte for
//! byte, and the key its key; the rest stands in [`headers`].

mod headers;

use std::collections::HashSet;

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};

use super::scan::scan;
use super::settings::Role;
use super::sink::{Outgoing, Sent, Sink};
use super::{ANSWER, Context, OpenError, Settings, topics};
use crate::dead_letters::{DeadLetter, Origin, RAW_BYTES_MAX, Refused};
use crate::log::{Error, Position};
use crate::step::step;

/// How long a letter waits for a broker that is away, unless the user says otherwise: whoever writes it looks
/// then whether it is time to stop, and tries again.
const TIMEOUT_MS: &str = "5000";

/// The dead-letter topic.
pub struct DeadLetterTopic {
    sink: Sink,
    settings: Settings,
    name: String,
    /// Where partition 0 begins and ends, once that was looked up.
    bounds: Mutex<Option<(u64, u64)>>,
}

impl DeadLetterTopic {
    /// The dead-letter topic of these settings. Asks no broker.
    ///
    /// # Errors
    /// [`OpenError::Settings`].
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        let name = settings.dead_letters();
        if name == settings.topic {
            let detail = format!("`kafka.dead_letter_topic` is {name}, the topic of the events");
            return Err(OpenError::Settings { detail });
        }
        let mut writer = settings.clone();
        writer.properties.entry("message.timeout.ms".to_owned()).or_insert_with(|| TIMEOUT_MS.to_owned());
        let sink = Sink::open(&writer, &name)?;
        Ok(DeadLetterTopic { sink, settings: settings.clone(), name, bounds: Mutex::default() })
    }

    /// Makes the topic, with one partition, if it is not there.
    ///
    /// # Errors
    /// Those of [`topics::create`], [`OpenError::Unreachable`].
    pub fn create(&self) -> Result<(), OpenError> {
        match self.look() {
            Err(OpenError::NoTopic { .. }) => topics::create(&self.settings, &self.name, 1).map(drop),
            there => there,
        }
    }

    /// Whether the topic is there.
    ///
    /// # Errors
    /// [`OpenError::NoTopic`], [`OpenError::Unreachable`].
    pub fn look(&self) -> Result<(), OpenError> {
        let consumer: BaseConsumer<Context> = self.settings.create(Role::Consumer, Context::default())?;
        topics::partitions(&consumer, &self.settings, &self.name).map(drop)
    }

    /// Writes these records: when this returns well, the broker has them all, and what it has is taken out of
    /// `letters`. Only then may the reader go on.
    ///
    /// # Errors
    /// [`Error::NotAppended`], [`Error::MaybeAppended`]: try again; a reader of the dead-letter topic tells
    /// doubles by their `partition` and `offset`.
    pub fn push(&self, letters: &mut Vec<Refused>) -> Result<(), Error> {
        let sent = self.deliver(letters.iter().map(|refused| self.outgoing(refused, false)));
        let is_there = |sent: &Sent| matches!(sent, Some(Ok(_)));
        sent.iter().flatten().flatten().for_each(|position| self.written(position.offset));
        let mut each = sent.iter();
        letters.retain(|_| !each.next().is_some_and(is_there));
        if !sent.iter().any(is_too_large) {
            return self.sink.all(sent).map(drop);
        }
        // One that is too large takes its batch with it.
        let mut left = std::mem::take(letters).into_iter();
        while let Some(refused) = left.next() {
            if let Err(error) = self.push_alone(&refused) {
                letters.push(refused);
                letters.extend(left);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whole if the topic takes it, otherwise its beginning.
    fn push_alone(&self, refused: &Refused) -> Result<(), Error> {
        let send = |is_cut| self.deliver(std::iter::once(self.outgoing(refused, is_cut)));
        let mut sent = send(false);
        if sent.iter().any(is_too_large) {
            sent = send(true);
        }
        let positions = self.sink.all(sent)?;
        positions.iter().for_each(|position| self.written(position.offset));
        Ok(())
    }

    fn deliver<'a>(&self, letters: impl ExactSizeIterator<Item = Outgoing<'a>>) -> Vec<Sent> {
        step!("dead_letters::write");
        let sent = self.sink.deliver(letters);
        step!("dead_letters::written");
        sent
    }

    fn outgoing<'a>(&self, refused: &'a Refused, is_cut: bool) -> Outgoing<'a> {
        let keep = |part: &'a [u8]| if is_cut { &part[..part.len().min(RAW_BYTES_MAX)] } else { part };
        Outgoing {
            partition: Some(0),
            key: refused.key.as_deref().map(keep),
            payload: refused.payload.as_deref().map(keep),
            headers: Some(headers::of(refused, &self.settings.topic)),
        }
    }

    /// How many records the topic has, as far as this process knows: what was there when it first looked, and
    /// what it has written since.
    ///
    /// # Errors
    /// [`Error::Unreadable`], the first time.
    pub fn count(&self) -> Result<u64, Error> {
        let known = *self.bounds.lock();
        let (begin, end) = match known {
            Some(bounds) => bounds,
            None => {
                let found = self.look_up(&self.consumer()?)?;
                *self.bounds.lock().get_or_insert(found)
            }
        };
        Ok(end.saturating_sub(begin))
    }

    fn written(&self, offset: u64) {
        if let Some((_, end)) = &mut *self.bounds.lock() {
            *end = (*end).max(offset + 1);
        }
    }

    /// Shows letters with their numbers, from number `from` on, as long as `show` wants more; at most so many
    /// bytes of each record. Records of others, which are no letters, are left out.
    ///
    /// # Errors
    /// [`Error::Unreadable`].
    pub fn each(
        &self,
        from: u64,
        raw_bytes_max: usize,
        mut show: impl FnMut(u64, DeadLetter) -> bool,
    ) -> Result<(), Error> {
        self.read(from, |message| {
            let payload = message.payload().unwrap_or_default();
            let letter = headers::letter(&headers::read(message), payload, raw_bytes_max);
            letter.is_none_or(|letter| show(message.offset().max(0) as u64, letter))
        })
    }

    /// What tells a record of the log from all others.
    pub(crate) fn mark(&self, refused: &Refused) -> Option<String> {
        let Origin::Log(Position { partition, offset }) = refused.origin else { return None };
        Some(headers::mark(partition, offset, refused.payload.as_deref()))
    }

    /// The marks of all letters of the topic of the events.
    pub(crate) fn marks(&self) -> Result<HashSet<String>, Error> {
        let mut marks = HashSet::new();
        self.read(0, |message| {
            let headers = headers::read(message);
            if let (Some(topic), Some(partition), Some(offset)) =
                (headers.get("topic"), headers.get("partition"), headers.get("offset"))
                && *topic == self.settings.topic
            {
                marks.insert(headers::mark(partition, offset, message.payload()));
            }
            true
        })?;
        Ok(marks)
    }

    fn read(&self, from: u64, show: impl FnMut(&BorrowedMessage<'_>) -> bool) -> Result<(), Error> {
        let from = Position { partition: 0, offset: from };
        let scanned = scan(&self.consumer()?, &self.name, from, ANSWER, show);
        scanned.map(drop).map_err(|error| self.unreadable(&error))
    }

    fn consumer(&self) -> Result<BaseConsumer<Context>, Error> {
        let unreadable = |error: OpenError| Error::Unreadable {
            path: self.settings.address(&self.name),
            reason: error.to_string(),
        };
        self.settings.create(Role::Consumer, Context::default()).map_err(unreadable)
    }

    fn look_up(&self, consumer: &BaseConsumer<Context>) -> Result<(u64, u64), Error> {
        let found = consumer.fetch_watermarks(&self.name, 0, ANSWER);
        found
            .map(|(begin, end)| (begin.max(0) as u64, end.max(0) as u64))
            .map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &KafkaError) -> Error {
        Error::Unreadable { path: self.settings.address(&self.name), reason: error.to_string() }
    }
}

fn is_too_large(sent: &Sent) -> bool {
    let code = sent.as_ref().and_then(|sent| sent.as_ref().err()).and_then(KafkaError::rdkafka_error_code);
    matches!(code, Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge))
}
