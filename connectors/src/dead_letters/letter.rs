//! What was refused: [`Refused`] is the record as it came, [`DeadLetter`] what is kept and shown of it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use segue_dataflow::event::Code;
use serde::{Deserialize, Serialize};

use crate::log::Position;

/// Bytes of a raw record that are kept where letters are a log, and shown in lists; its length is kept too.
pub const RAW_BYTES_MAX: usize = 64 << 10;
/// Bytes that are kept of each of the other texts.
pub const TEXT_BYTES_MAX: usize = 4 << 10;

/// A record that was refused, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why, for programs.
    pub code: Code,
    /// The field that is wrong, as a path; none if it is the record as a whole.
    pub field: Option<String>,
    /// Why, for people.
    pub detail: String,
    /// Where it is from.
    pub origin: Origin,
    /// When it was refused, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Its key, where it has one.
    pub key: Option<Bytes>,
    /// Its payload; none in a tombstone.
    pub payload: Option<Bytes>,
}

/// Where a record is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The log.
    Log(Position),
    /// It never came onto the log.
    Sent {
        /// `http`, or the name of a file.
        source: String,
        /// Where in it: an index, a line.
        position: String,
    },
}

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
    /// Where it came from: `log`, the name of a topic, `http`, the name of a file.
    pub source: String,
    /// Where in the source: an index, a line, `partition:offset`.
    pub position: String,
    /// When it was refused, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The record.
    pub raw: Raw,
}

/// A record, or the beginning of one.
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

impl DeadLetter {
    /// Within the limits of a letter, so that it can be kept wherever records can.
    pub fn of(refused: &Refused) -> Self {
        let (source, position) = match &refused.origin {
            Origin::Log(position) => ("log", position.to_string()),
            Origin::Sent { source, position } => (&**source, position.clone()),
        };
        DeadLetter {
            code: refused.code,
            field: refused.field.as_deref().map(cut),
            detail: cut(&refused.detail),
            source: cut(source),
            position: cut(&position),
            at_ms: refused.at_ms,
            raw: Raw::of(refused.payload.as_deref().unwrap_or_default(), RAW_BYTES_MAX),
        }
    }
}

/// The beginning of a text, at most [`TEXT_BYTES_MAX`] bytes of it.
pub(crate) fn cut(text: &str) -> String {
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text[..end.unwrap_or_default()].to_owned()
}

impl Raw {
    /// The beginning of this record, at most `bytes_max` bytes of it.
    pub fn of(record: &[u8], bytes_max: usize) -> Self {
        let cut = &record[..record.len().min(bytes_max)];
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

    /// The bytes that are kept. Base64 of another's making may be none: then nothing is.
    pub fn to_bytes(&self) -> Bytes {
        match &self.kept {
            Kept::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Kept::Base64(text) => STANDARD.decode(text).unwrap_or_default().into(),
        }
    }
}

impl fmt::Debug for Raw {
    /// The length only: what people sent does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.bytes)
    }
}
