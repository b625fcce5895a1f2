//! The pump: one thread a partition that reads the log and feeds the engine, from the first event on.
//!
//! A record that is no event is dead-lettered and passed over; the offset moves on all the same.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use segue_connectors::log::{Error, Log, Position, Stored};
use segue_dataflow::edit::Edit;
use segue_dataflow::event::{Rejection, decode};
use segue_dataflow::workers::{Batch, Engine};

use crate::health::Health;
use crate::letterbox::{LOG, Letterbox};
use crate::service::letter;

/// Bytes of events that one batch has, unless a single event is larger.
const BATCH_BYTES: usize = 1 << 20;
/// How long to wait for new events before looking whether it is time to stop.
const WAIT: Duration = Duration::from_secs(1);

/// Starts the pump of one partition.
///
/// # Errors
/// If the system gives no thread.
pub fn start(
    partition: u32,
    log: &Arc<dyn Log>,
    engine: &Arc<Engine>,
    letterbox: &Arc<Letterbox>,
    health: &Arc<Health>,
) -> std::io::Result<JoinHandle<()>> {
    let (log, engine) = (Arc::clone(log), Arc::clone(engine));
    let (letterbox, health) = (Arc::clone(letterbox), Arc::clone(health));
    Builder::new().name(format!("pump-{partition}")).spawn(move || {
        match run(partition, &*log, &engine, &letterbox) {
            Ok(()) | Err(Error::Closed) => {}
            Err(error) => health.fail(format!("reading partition {partition} of the log: {error}")),
        }
    })
}

fn run(partition: u32, log: &dyn Log, engine: &Engine, letterbox: &Letterbox) -> Result<(), Error> {
    let mut offset = 0;
    loop {
        let records = log.read(partition, offset, BATCH_BYTES)?;
        if records.is_empty() {
            log.wait(partition, offset, WAIT)?;
            continue;
        }
        let mut batch = Batch { edits: Vec::with_capacity(records.len()), partition, next: offset };
        for Stored { offset: at, payload } in records {
            let position = Position { partition, offset: at };
            match decode(&payload) {
                Ok(event) => batch.edits.push(Edit::new(seq_of(position, log.partitions()), &event)),
                Err(Rejection { code, field, detail }) => {
                    letterbox.put(letter(code, &field, detail, (LOG, position.to_string()), &payload));
                }
            }
            batch.next = at + 1;
        }
        offset = batch.next;
        if engine.feed(batch).is_err() {
            return Ok(()); // the engine has stopped
        }
    }
}

/// A position as the one number that the engine wants: in order within a partition, of no two positions.
fn seq_of(position: Position, partitions: u32) -> u64 {
    position.offset * u64::from(partitions) + u64::from(position.partition)
}

/// The position that has this number.
pub fn position_of(seq: u64, partitions: u32) -> Position {
    let partitions = u64::from(partitions.max(1));
    Position { partition: (seq % partitions) as u32, offset: seq / partitions }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_its_number() {
        for (partition, offset, partitions, seq) in [(0, 7, 1, 7), (2, 0, 3, 2), (1, 5, 3, 16)] {
            let position = Position { partition, offset };
            assert_eq!((seq_of(position, partitions), position_of(seq, partitions)), (seq, position));
        }
    }
}
