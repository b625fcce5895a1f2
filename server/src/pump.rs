//! The pump: one thread a partition that reads the log and feeds the engine, from where the snapshot ends. Each
//! starts that of the next partition as soon as there is one: a topic may be given more of them.
//!
//! A record that is no event is passed over once its dead letter is written, unless too many are.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use segue_connectors::dead_letters::{Origin, Refused};
use segue_connectors::log::{Error, Log, PARTITIONS_MAX, Position, Read, Stored};
use segue_dataflow::edit::Edit;
use segue_dataflow::event::{Event, Rejection, decode, deletion};
use segue_dataflow::workers::{Batch, Engine};

use crate::breaker::{Breaker, Broken};
use crate::health::Health;
use crate::letterbox::Letterbox;
use crate::prequential::Prequential;
use crate::service::refused;

/// Bytes of events that one batch has, unless a single event is larger.
const BATCH_BYTES: usize = 1 << 20;
/// How long to wait for new events before looking whether it is time to stop.
const WAIT: Duration = Duration::from_secs(1);

/// What all pumps share.
#[derive(Clone)]
pub struct Pumps {
    /// What is read.
    pub log: Arc<dyn Log>,
    /// What is fed.
    pub engine: Arc<Engine>,
    /// Where bad records go.
    pub letterbox: Arc<Letterbox>,
    /// How many of them are too many.
    pub breaker: Arc<Breaker>,
    /// Who is told when it cannot go on.
    pub health: Arc<Health>,
    /// Who is told of additions before they are fed.
    pub prequential: Arc<Prequential>,
    /// By partition, where to begin; a partition that is not here begins at 0.
    pub begin: Arc<[u64]>,
}

/// Why a pump has ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Log(#[from] Error),
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Pumps {
    /// Starts the pumps from this partition on; the thread ends when all have ended.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(&self, partition: u32) -> std::io::Result<JoinHandle<()>> {
        let pumps = self.clone();
        Builder::new().name(format!("pump-{partition}")).spawn(move || {
            let mut following = None;
            let mut follow = || {
                let next = partition + 1;
                if following.is_none() && next < pumps.log.partitions() {
                    match pumps.start(next) {
                        Ok(pump) => following = Some(pump),
                        Err(error) => pumps.health.fail(format!("no thread for partition {next}: {error}")),
                    }
                }
            };
            match pumps.run(partition, &mut follow) {
                Ok(()) | Err(End::Log(Error::Closed)) => {}
                Err(end) => pumps.health.fail(format!("reading partition {partition} of the log: {end}")),
            }
            drop(following.map(JoinHandle::join));
        })
    }

    fn run(&self, partition: u32, follow: &mut dyn FnMut()) -> Result<(), End> {
        let mut offset = self.begin.get(partition as usize).copied().unwrap_or(0);
        loop {
            follow();
            let Read { records, next } = self.log.read(partition, offset, BATCH_BYTES)?;
            if next == offset {
                self.log.wait(partition, offset, WAIT)?;
                continue;
            }
            let mut batch = Batch { edits: Vec::with_capacity(records.len()), partition, next };
            let mut bad = Vec::new();
            for (place, Stored { offset, key, payload }) in records.iter().enumerate() {
                let position = Position { partition, offset: *offset };
                let decoded = match payload {
                    Some(payload) => decode(payload),
                    None => deletion(key.as_deref().unwrap_or_default()),
                };
                match decoded {
                    Ok(event) => {
                        self.prequential.before(&self.engine, position, &event);
                        batch.edits.push(edit(position, &event));
                    }
                    Err(rejection) => bad.push((place, position, rejection)),
                }
            }
            let broken = self.breaker.read(records.len(), &bad);
            let letters = bad.into_iter().map(|(place, position, rejection)| {
                let Rejection { code, field, detail } = rejection;
                let Stored { key, payload, .. } = &records[place];
                refused(code, &field, detail, Origin::Log(position), key.clone(), payload.clone())
            });
            self.letterbox.write(letters.collect::<Vec<Refused>>())?;
            broken?;
            offset = next;
            if self.engine.feed(batch).is_err() {
                return Ok(()); // the engine has stopped
            }
        }
    }
}

/// The edit that an event makes. No two real URIs share an id, so a test may have all playlists share that of
/// "one".
fn edit(position: Position, event: &Event<'_>) -> Edit {
    let edit = || Edit::new(seq_of(position), event);
    fail::fail_point!("pump::one_id", |_| {
        let mut edit = edit();
        if let segue_dataflow::edit::Op::Playlist { id, .. } = &mut edit.op {
            *id = segue_dataflow::ids::PlaylistId::of("one");
        }
        edit
    });
    edit()
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
