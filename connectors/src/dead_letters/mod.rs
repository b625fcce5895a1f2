//! Dead letters: the records that were no events, kept with the reason and where they came from.
//!
//! On Kafka they are a topic, whole. Elsewhere they are a log, of JSON records in one partition, so that they
//! are as durable as what was accepted and can be read while the server runs. Every text there has a limit: a
//! record is refused for being too large, and must not be that here again.

mod letter;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
pub(crate) use letter::cut;
pub use letter::{DeadLetter, Kept, Origin, RAW_BYTES_MAX, Raw, Refused, TEXT_BYTES_MAX};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::embedded::{Embedded, OpenError, Opened, Options, TornTail};
use crate::kafka::dead_letters::DeadLetterTopic;
use crate::log::{Error, Log, Record, Stored};
use crate::step::step;

/// Bytes read from the log at a time.
const READ_BYTES: usize = 1 << 20;

/// Where dead letters are kept.
pub enum DeadLetters {
    /// Partition 0 of a log.
    Log {
        /// The log.
        log: Arc<dyn Log>,
        /// Its name, for messages.
        path: PathBuf,
    },
    /// A topic.
    Topic(Box<DeadLetterTopic>),
}

impl DeadLetters {
    /// Opens the dead letters in this folder, or creates them there, and says what a crash had torn.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<(Self, Option<TornTail>), OpenError> {
        let Opened { log, torn_tail } = Embedded::open(path, Options::default())?;
        Ok((DeadLetters::Log { log: Arc::new(log), path: path.to_owned() }, torn_tail))
    }

    /// Keeps these letters: what is durable is taken out of `letters`, and all are when this returns well.
    ///
    /// # Errors
    /// Those of [`Log::append`]. Those that are left may be sent again, and then may be there twice.
    pub fn push(&self, letters: &mut Vec<Refused>) -> Result<(), Error> {
        let log = match self {
            DeadLetters::Topic(topic) => return topic.push(letters),
            DeadLetters::Log { log, .. } => log,
        };
        let not_json = |error: serde_json::Error| Error::NotAppended { reason: error.to_string() };
        let record = |refused| {
            let payload = serde_json::to_vec(&DeadLetter::of(refused)).map_err(not_json)?;
            Ok(Record { key: "", payload: Bytes::from(payload) })
        };
        let records = letters.iter().map(record).collect::<Result<Vec<_>, Error>>()?;
        step!("dead_letters::write");
        log.append(&records)?;
        step!("dead_letters::written");
        letters.clear();
        Ok(())
    }

    /// Letters with their numbers, the oldest first, from number `from` on, at most `limit` of them. Of each
    /// record there are at most `raw_bytes_max` bytes, and as many as are kept.
    ///
    /// # Errors
    /// Those of [`Log::read`].
    pub fn list(
        &self,
        from: u64,
        limit: usize,
        raw_bytes_max: usize,
    ) -> Result<Vec<(u64, DeadLetter)>, Error> {
        let mut letters = Vec::new();
        let more = |number, letter| {
            if letters.len() < limit {
                letters.push((number, letter));
            }
            letters.len() < limit
        };
        match self {
            DeadLetters::Topic(topic) => topic.each(from, raw_bytes_max, more)?,
            DeadLetters::Log { log, path } => each(&**log, path, from, more)?,
        }
        Ok(letters)
    }

    /// What tells a refused record of the log from all others, so that it need not be written again; none if
    /// it is not from the log.
    pub fn mark(&self, refused: &Refused) -> Option<String> {
        match (self, &refused.origin) {
            (DeadLetters::Topic(topic), _) => topic.mark(refused),
            (DeadLetters::Log { .. }, Origin::Log(position)) => Some(position.to_string()),
            (DeadLetters::Log { .. }, Origin::Sent { .. }) => None,
        }
    }

    /// The marks of all letters. Reads them all.
    ///
    /// # Errors
    /// Those of [`Log::read`].
    pub fn marks(&self) -> Result<HashSet<String>, Error> {
        #[derive(Deserialize)]
        struct From {
            source: String,
            position: String,
        }
        let mut marks = HashSet::new();
        let (log, path) = match self {
            DeadLetters::Topic(topic) => return topic.marks(),
            DeadLetters::Log { log, path } => (log, path),
        };
        each(&**log, path, 0, |_, from: From| {
            if from.source == "log" {
                marks.insert(from.position);
            }
            true
        })?;
        Ok(marks)
    }

    /// How many letters there are.
    ///
    /// # Errors
    /// Those of [`Log::end`].
    pub fn count(&self) -> Result<u64, Error> {
        match self {
            DeadLetters::Log { log, .. } => log.end(0),
            DeadLetters::Topic(topic) => topic.count(),
        }
    }
}

/// Shows letters of a log with their numbers, from number `from` on, as long as `show` wants more.
fn each<T: DeserializeOwned>(
    log: &dyn Log,
    path: &Path,
    from: u64,
    mut show: impl FnMut(u64, T) -> bool,
) -> Result<(), Error> {
    let (mut next, end) = (from, log.end(0)?);
    while next < end {
        for Stored { offset, payload, .. } in log.read(0, next, READ_BYTES)?.records {
            let letter = serde_json::from_slice(&payload.unwrap_or_default()).map_err(|error| {
                Error::Corrupt { path: path.to_owned(), detail: format!("dead letter {offset}: {error}") }
            })?;
            if !show(offset, letter) {
                return Ok(());
            }
            next = offset + 1;
        }
    }
    Ok(())
}
