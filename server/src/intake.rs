//! The intake: bytes that should be events → decoded → durable on the log, or dead-lettered.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use segue_connectors::dead_letters::Origin;
use segue_connectors::log::{Error, Record};
use segue_dataflow::event::{Code, Rejection, decode};

use crate::metrics;
use crate::service::{Service, refused};
use crate::token::Token;

/// What became of a batch.
#[derive(Debug)]
pub struct Taken {
    /// Events that are durable now.
    pub accepted: usize,
    /// Those that are no events, by their place in the batch.
    pub rejected: Vec<(usize, Rejection)>,
    /// For the accepted ones.
    pub token: Token,
}

/// Takes a batch in: the accepted events are durable when it returns. Blocks, so it wants a thread for it.
/// `source` is where the batch is from, `name` what it is called there.
///
/// # Errors
/// What the log says; whether the events are there depends on it.
pub fn take(service: &Arc<Service>, source: &str, name: &str, items: &[Bytes]) -> Result<Taken, Error> {
    let (mut keys, mut payloads, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate() {
        match decode(item) {
            Ok(event) => {
                keys.push(event.key().to_owned());
                payloads.push(item.clone());
            }
            Err(rejection) => rejected.push((index, rejection)),
        }
    }
    let records = keys.iter().zip(payloads).map(|(key, payload)| Record { key, payload });
    let started = Instant::now();
    let positions =
        service.log.append(&records.collect::<Vec<_>>()).inspect_err(|error| watch(service, error))?;
    if !positions.is_empty() {
        metrics::appended(started.elapsed());
        metrics::accepted(positions.len());
    }
    // Only now: a batch that is sent again because the log did not take it leaves its letters once. If they
    // cannot be written, the whole batch is to be sent again, which changes nothing for the events.
    if !rejected.is_empty() {
        let mut letters: Vec<_> = rejected
            .iter()
            .map(|(index, Rejection { code, field, detail })| {
                metrics::rejected(&code.to_string());
                let origin = Origin::Sent { source: source.to_owned(), position: format!("{name}:{index}") };
                refused(*code, field, detail.clone(), origin, None, Some(items[*index].clone()))
            })
            .collect();
        service.dead_letters.push(&mut letters).inspect_err(|error| watch(service, error))?;
    }
    Ok(Taken { accepted: positions.len(), rejected, token: Token::of(&positions) })
}

/// Dead-letters a whole request that cannot be cut into events.
///
/// # Errors
/// What the dead-letter log says.
pub fn refuse(service: &Service, name: &str, code: Code, detail: &str, body: &Bytes) -> Result<(), Error> {
    metrics::rejected(&code.to_string());
    let origin = Origin::Sent { source: "http".to_owned(), position: name.to_owned() };
    let letter = refused(code, "", detail.to_owned(), origin, None, Some(body.clone()));
    service.dead_letters.push(&mut vec![letter]).inspect_err(|error| watch(service, error))
}

/// Tells readiness of an error that stays until the server is started again.
fn watch(service: &Service, error: &Error) {
    if matches!(error, Error::Unwritable { .. } | Error::Corrupt { .. }) {
        service.health.degrade(format!("no more events are taken: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use segue_connectors::faulty::{Faulty, Step};

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_batch_that_is_sent_again_leaves_its_letters_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.server.data_dir = folder.path().to_owned();
        config.snapshots.url = "off".to_owned();
        let mut service = Service::start(config).expect("it starts");
        let faulty = Arc::new(Faulty::new(Arc::clone(&service.log)));
        Arc::get_mut(&mut service).expect("nobody else has it yet").log = Arc::clone(&faulty) as _;
        faulty.then([Step::FailBefore, Step::FailAfter]);
        let good = r#"{"type":"playlist_deleted","playlist":"p","at":"2024-05-01T12:00:00Z"}"#;
        let items = [Bytes::from_static(b"{}"), Bytes::from_static(good.as_bytes())];
        let take = || take(&service, "test", "batch", &items);
        assert!(matches!(take(), Err(Error::NotAppended { .. })));
        assert!(matches!(take(), Err(Error::MaybeAppended { .. })));
        assert_eq!(service.dead_letters.count(), Ok(0));
        let taken = take().expect("the third time it works");
        assert_eq!((taken.accepted, taken.rejected.len(), taken.rejected[0].0), (1, 1, 0));
        assert_eq!(service.dead_letters.count(), Ok(1));
        service.stop().expect("no worker panics");
    }
}
