//! Dead letters: the records that were no events, kept with the reason and where they came from.
//!
//! They are a log too, of JSON records in one partition, so that they are as durable as what was accepted
//! and can be read while the server runs. Every text in them has a limit: a record is refused for being
//! too large, and must not be that here again.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use segue_dataflow::event::Code;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::embedded::{Embedded, OpenError, Opened, Options, TornTail};
use crate::log::{Error, Log, Record, Stored};

/// Bytes of a raw record that are kept; its length is kept too.
pub const RAW_BYTES_MAX: usize = 64 << 10;
/// Bytes that are kept of each of the other texts.
pub const TEXT_BYTES_MAX: usize = 4 << 10;
/// Bytes read from the log at a time.
const READ_BYTES: usize = 1 << 20;

/// A record that was no event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Why, for programs.
    pub code: Code,
    /// The field that is wrong, as a path; none if it is the record as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Why, for people.
    pub detail: String,
    /// Where it came from: `http`, or the name of a file or topic.
    pub source: String,
    /// Where in the source: an index, a line, `partition:offset`.
    pub position: String,
    /// When it was refused, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The record.
    pub raw: Raw,
}

/// The beginning of a record, at most [`RAW_BYTES_MAX`] bytes of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// Bytes of the whole record.
    pub bytes: u64,
    /// What is kept of it.
    #[serde(flatten)]
    pub kept: Kept,
}

/// The kept part of a record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// It is UTF-8, and cut between two characters.
    Text(String),
    /// It is not, and stands here in base64.
    Base64(String),
}

impl Raw {
    /// The beginning of this record.
    pub fn of(record: &[u8]) -> Self {
        let cut = &record[..record.len().min(RAW_BYTES_MAX)];
        let text = match std::str::from_utf8(cut) {
            Ok(text) => Some(text),
            // The cut may go through a character; that is not the record's fault.
            Err(error) if error.error_len().is_none() && cut.len() < record.len() => {
                std::str::from_utf8(&cut[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        let kept =
            text.map_or_else(|| Kept::Base64(STANDARD.encode(cut)), |text| Kept::Text(text.to_owned()));
        Raw { bytes: record.len() as u64, kept }
    }
}

impl fmt::Debug for Raw {
    /// The length only: what people sent does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.bytes)
    }
}

impl DeadLetter {
    fn within_limits(&self) -> Self {
        let mut letter = self.clone();
        for text in [&mut letter.detail, &mut letter.source, &mut letter.position]
            .into_iter()
            .chain(letter.field.as_mut())
        {
            let cut = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
            text.truncate(cut.unwrap_or_default());
        }
        letter
    }
}

/// The log of dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    log: Arc<dyn Log>,
    /// For messages.
    path: PathBuf,
}

impl DeadLetters {
    /// Opens the dead letters in this folder, or creates them there, and says what a crash had torn.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<(Self, Option<TornTail>), OpenError> {
        let Opened { log, torn_tail } = Embedded::open(path, Options::default())?;
        Ok((DeadLetters { log: Arc::new(log), path: path.to_owned() }, torn_tail))
    }

    /// Dead letters on another log, of which partition 0 is used; `name` stands in messages.
    pub fn on(log: Arc<dyn Log>, name: &str) -> Self {
        DeadLetters { log, path: name.into() }
    }

    /// Keeps these letters: when this returns, they are durable.
    ///
    /// # Errors
    /// Those of [`Log::append`].
    pub fn push(&self, letters: &[DeadLetter]) -> Result<(), Error> {
        let not_json = |error: serde_json::Error| Error::NotAppended { reason: error.to_string() };
        let records = letters
            .iter()
            .map(|letter| {
                let payload = serde_json::to_vec(&letter.within_limits()).map_err(not_json)?;
                Ok(Record { key: "", payload: Bytes::from(payload) })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        self.log.append(&records).map(drop)
    }

    /// Letters with their numbers (0 is the oldest), from number `from` on, at most `limit` of them.
    ///
    /// # Errors
    /// Those of [`Log::read`].
    pub fn list(&self, from: u64, limit: usize) -> Result<Vec<(u64, DeadLetter)>, Error> {
        let mut letters = Vec::new();
        self.each(from, |number, letter| {
            if letters.len() < limit {
                letters.push((number, letter));
            }
            letters.len() < limit
        })?;
        Ok(letters)
    }

    /// Where the letters of one source are from: their positions in it. Reads all letters.
    ///
    /// # Errors
    /// Those of [`Log::read`].
    pub fn positions(&self, source: &str) -> Result<HashSet<String>, Error> {
        #[derive(Deserialize)]
        struct From {
            source: String,
            position: String,
        }
        let mut positions = HashSet::new();
        self.each(0, |_, from: From| {
            if from.source == source {
                positions.insert(from.position);
            }
            true
        })?;
        Ok(positions)
    }

    /// Shows letters with their numbers, from number `from` on, as long as `show` wants more.
    fn each<T: DeserializeOwned>(
        &self,
        from: u64,
        mut show: impl FnMut(u64, T) -> bool,
    ) -> Result<(), Error> {
        let (mut next, end) = (from, self.count()?);
        while next < end {
            for Stored { offset, payload, .. } in self.log.read(0, next, READ_BYTES)?.records {
                let payload = payload.unwrap_or_default();
                let letter = serde_json::from_slice(&payload).map_err(|error| Error::Corrupt {
                    path: self.path.clone(),
                    detail: format!("dead letter {offset}: {error}"),
                })?;
                if !show(offset, letter) {
                    return Ok(());
                }
                next = offset + 1;
            }
        }
        Ok(())
    }

    /// How many letters there are.
    ///
    /// # Errors
    /// Those of [`Log::end`].
    pub fn count(&self) -> Result<u64, Error> {
        self.log.end(0)
    }
}
