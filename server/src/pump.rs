//! The pump: one thread a partition that reads the log and feeds the engine, from the first event on. Each
//! starts that of the next partition as soon as there is one: a topic may be given more of them.
//!
//! A record that is no event is dead-lettered and passed over; the offset moves on all the same.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use segue_connectors::log::{Error, Log, PARTITIONS_MAX, Position, Read, Stored};
use segue_dataflow::edit::Edit;
use segue_dataflow::event::{Rejection, decode, deletion};
use segue_dataflow::workers::{Batch, Engine};

use crate::health::Health;
use crate::letterbox::{LOG, Letterbox};
use crate::service::letter;

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
    letterbox: &Arc<Letterbox>,
    health: &Arc<Health>,
) -> std::io::Result<JoinHandle<()>> {
    let (log, engine) = (Arc::clone(log), Arc::clone(engine));
    let (letterbox, health) = (Arc::clone(letterbox), Arc::clone(health));
    Builder::new().name(format!("pump-{partition}")).spawn(move || {
        let mut following = None;
        let mut follow = || {
            if following.is_none() && partition + 1 < log.partitions() {
                match start(partition + 1, &log, &engine, &letterbox, &health) {
                    Ok(pump) => following = Some(pump),
                    Err(error) => health.fail(format!("no thread for partition {}: {error}", partition + 1)),
                }
            }
        };
        match run(partition, &*log, &engine, &letterbox, &mut follow) {
            Ok(()) | Err(Error::Closed) => {}
            Err(error) => health.fail(format!("reading partition {partition} of the log: {error}")),
        }
        drop(following.map(JoinHandle::join));
    })
}

fn run(
    partition: u32,
    log: &dyn Log,
    engine: &Engine,
    letterbox: &Letterbox,
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
        for Stored { offset, key, payload } in &records {
            let position = Position { partition, offset: *offset };
            let decoded = match payload {
                Some(payload) => decode(payload),
                None => deletion(key.as_deref().unwrap_or_default()),
            };
            match decoded {
                Ok(event) => batch.edits.push(Edit::new(seq_of(position), &event)),
                Err(Rejection { code, field, detail }) => {
                    let raw = payload.as_deref().unwrap_or_default();
                    letterbox.put(letter(code, &field, detail, (LOG, position.to_string()), raw));
                }
            }
        }
        offset = next;
        if engine.feed(batch).is_err() {
            return Ok(()); // the engine has stopped
        }
    }
}

/// A position as the one number that the engine wants: in order within a partition, of no two positions, and
/// the same however many partitions there come to be.
fn seq_of(position: Position) -> u64 {
    position.offset * u64::from(PARTITIONS_MAX) + u64::from(position.partition)
}

/// The position that has this number.
pub fn position_of(seq: u64) -> Position {
    let partitions = u64::from(PARTITIONS_MAX);
    Position { partition: (seq % partitions) as u32, offset: seq / partitions }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_its_number() {
        for (partition, offset, seq) in [(0, 7, 28_672), (2, 0, 2), (4_095, 5, 24_575)] {
            let position = Position { partition, offset };
            assert_eq!((seq_of(position), position_of(seq)), (seq, position));
        }
    }
}
