//! Where events go: what a target must do, what it may answer, and how it is named.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;

use super::Batch;

/// Takes batches of events.
///
/// - A batch that is answered with a receipt is durable as far as this target can promise that.
/// - Batches come in the order of the stream; each is taken wholly or answered with an error.
/// - After an error, part of the batch may have been taken. Sending it again does no harm: the same events
///   once more change nothing.
/// - Where it waits, it gives up with [`TargetError::Interrupted`] soon after `interrupted` is set.
pub trait Target {
    /// Takes a batch.
    fn send(&mut self, batch: &Batch, interrupted: &AtomicBool) -> Result<Receipt, TargetError>;

    /// No more will come (also after an interrupt): writes out what is held back, waits until it can be seen.
    fn finish(&mut self, interrupted: &AtomicBool) -> Result<(), TargetError>;
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Events that were taken.
    pub accepted: u64,
    /// Events that were not.
    pub rejected: Vec<Rejected>,
}

impl Receipt {
    /// All of the batch was taken.
    pub fn all(batch: &Batch) -> Self {
        Receipt { accepted: batch.events() as u64, rejected: Vec::new() }
    }
}

/// An event that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: u64,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    #[serde(default)]
    pub detail: String,
}

/// Why a target takes no more.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Whoever started it wants it to end.
    #[error("interrupted")]
    Interrupted,
    /// A file could not be written.
    #[error("{target}: could not write: {source}")]
    Write {
        /// The file.
        target: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server could not be reached, or was not ready, for too long.
    #[error("{target}: gave up after trying for {tried_s} s: {last}")]
    Unavailable {
        /// The server.
        target: String,
        /// How long it was tried.
        tried_s: u64,
        /// What came of the last attempt.
        last: String,
    },
    /// The server refused a whole batch: trying again is of no use.
    #[error("{target}: the server refused the batch with status {status}: {body}")]
    Refused {
        /// The server.
        target: String,
        /// HTTP status.
        status: u16,
        /// The beginning of what it said.
        body: String,
    },
    /// Kafka, or what was said to it, is not as it should be.
    #[error("{0}")]
    Kafka(String),
    /// What answers there is no segue server.
    #[error("{target}: not the answer of a segue server: {what}")]
    NotSegue {
        /// The server.
        target: String,
        /// What was wrong with the answer.
        what: String,
    },
}

/// A TARGET as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `-`.
    Stdout,
    /// A file; gzip if its name ends in `.gz`.
    File(PathBuf),
    /// A server's base URL, without a slash at its end.
    Http(String),
    /// A topic.
    Kafka {
        /// `host:port`, with commas between.
        brokers: String,
        /// Its name.
        topic: String,
    },
}

/// A TARGET that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Brokers or topic are missing.
    #[error("a Kafka target is kafka://host:port/topic, with commas between brokers if there are several")]
    Kafka,
    /// There is no TLS.
    #[error("https:// targets are not supported; use http:// inside your network, or a local proxy")]
    Https,
    /// Nobody knows this scheme.
    #[error(
        "target scheme `{0}://` is not known; use http://server, kafka://broker/topic, a file name, or -"
    )]
    Scheme(String),
    /// There is no name.
    #[error("the target is empty; use http://server, kafka://broker/topic, a file name, or -")]
    Empty,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match text.split_once("://") {
            Some(("http", server)) if !server.is_empty() => {
                Ok(Address::Http(text.trim_end_matches('/').to_owned()))
            }
            Some(("http", _)) => Err(BadAddress::Empty),
            Some(("kafka", rest)) => match rest.split_once('/') {
                Some((brokers, topic))
                    if !brokers.is_empty() && !topic.is_empty() && !topic.contains('/') =>
                {
                    Ok(Address::Kafka { brokers: brokers.to_owned(), topic: topic.to_owned() })
                }
                _ => Err(BadAddress::Kafka),
            },
            Some(("https", _)) => Err(BadAddress::Https),
            Some((scheme, _)) => Err(BadAddress::Scheme(scheme.to_owned())),
            None if text.is_empty() => Err(BadAddress::Empty),
            None if text == "-" => Ok(Address::Stdout),
            None => Ok(Address::File(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, address) in [
            ("-", Ok(Address::Stdout)),
            ("http://localhost:8080/", Ok(Address::Http("http://localhost:8080".into()))),
            ("out.ndjson.gz", Ok(Address::File("out.ndjson.gz".into()))),
            ("kafka://a:1,b:2/t", Ok(Address::Kafka { brokers: "a:1,b:2".into(), topic: "t".into() })),
            ("kafka://broker", Err(BadAddress::Kafka)),
            ("kafka:///topic", Err(BadAddress::Kafka)),
            ("kafka://broker/a/b", Err(BadAddress::Kafka)),
            ("https://server", Err(BadAddress::Https)),
            ("ftp://server", Err(BadAddress::Scheme("ftp".into()))),
            ("http://", Err(BadAddress::Empty)),
            ("", Err(BadAddress::Empty)),
        ] {
            assert_eq!(text.parse(), address, "{text}");
        }
    }
}
