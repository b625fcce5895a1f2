//! The pump: one thread a partition that reads the log and feeds the engine, from the first event on. Each
//! starts that of the next partition as soon as there is one: a topic may be given more of them.
//!
//! A record that is no event is dead-lettered and passed over; the offset moves on all the same.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use segue_connectors::dead_letters::DeadLetters;
use segue_connectors::log::{Error, Log, Position, Read, Stored};
use segue_dataflow::edit::Edit;
use segue_dataflow::event::{decode, deletion};
use segue_dataflow::workers::{Batch, Engine};

use crate::metrics;
use crate::service::{Failure, letter};

/// Bytes of events that one batch has, unless a single event is larger.
const BATCH_BYTES: usize = 1 << 20;
/// How long to wait for new events before looking whether it is time to stop.
const WAIT: Duration = Duration::from_secs(1);

/// Starts the pumps from this partition on; the thread ends when all have ended.
///
/// # Errors
/// If the system gives no thread.
pub fn start(
    partition: u32,
    log: &Arc<dyn Log>,
    engine: &Arc<Engine>,
    dead_letters: &Arc<DeadLetters>,
    failure: &Arc<Failure>,
) -> std::io::Result<JoinHandle<()>> {
    let (log, engine) = (Arc::clone(log), Arc::clone(engine));
    let (dead_letters, failure) = (Arc::clone(dead_letters), Arc::clone(failure));
    Builder::new().name(format!("pump-{partition}")).spawn(move || {
        let mut following = None;
        let mut follow = || {
            if following.is_none() && partition + 1 < log.partitions() {
                match start(partition + 1, &log, &engine, &dead_letters, &failure) {
                    Ok(pump) => following = Some(pump),
                    Err(error) => failure.tell(format!("no thread for partition {}: {error}", partition + 1)),
                }
            }
        };
        match run(partition, &*log, &engine, &dead_letters, &mut follow) {
            Ok(()) | Err(Error::Closed) => {}
            Err(error) => failure.tell(format!("reading partition {partition} of the log: {error}")),
        }
        drop(following.map(JoinHandle::join));
    })
}

fn run(
    partition: u32,
    log: &dyn Log,
    engine: &Engine,
    dead_letters: &DeadLetters,
    follow: &mut dyn FnMut(),
) -> Result<(), Error> {
    let mut offset = 0;
    loop {
        follow();
        let Read { records, next } = log.read(partition, offset, BATCH_BYTES)?;
        if next == offset {
            log.wait(partition, offset, WAIT)?;
            continue;
        }
        let mut batch = Batch { edits: Vec::with_capacity(records.len()), partition, next };
        for Stored { offset: at, key, payload } in &records {
            let (at, decoded) = (
                *at,
                match payload {
                    Some(payload) => decode(payload),
                    None => deletion(key.as_deref().unwrap_or_default()),
                },
            );
            match decoded {
                Ok(event) => batch.edits.push(Edit::new(at, &event)),
                Err(rejection) => {
                    metrics::rejected(&rejection.code.to_string());
                    let position = Position { partition, offset: at }.to_string();
                    let (code, field) = (rejection.code, &*rejection.field);
                    let dead = letter(
                        code,
                        field,
                        rejection.detail.clone(),
                        ("log", position),
                        payload.as_deref().unwrap_or_default(),
                    );
                    dead_letters.push(&[dead])?;
                }
            }
        }
        offset = next;
        if engine.feed(batch).is_err() {
            return Ok(()); // the engine has stopped
        }
    }
}
