//! Where each partition ends, and waiting for it to grow: the part that all logs of this crate share.
//!
//! Invariant: an end is raised only after the records below it are durable, so whoever reads below an end
//! reads what will still be there tomorrow.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::log::{Error, Position};

pub(crate) struct Ends {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    ends: Vec<u64>,
    closed: bool,
}

impl Ends {
    /// Partitions that end here; there is at least one.
    pub(crate) fn new(ends: Vec<u64>) -> Self {
        Ends { state: Mutex::new(State { ends, closed: false }), changed: Condvar::new() }
    }

    /// All ends, by partition.
    pub(crate) fn all(&self) -> Vec<u64> {
        self.state.lock().ends.clone()
    }

    pub(crate) fn get(&self, partition: u32) -> Result<u64, Error> {
        self.state.lock().get(partition)
    }

    /// The end of the partition, if one may read from `from`.
    pub(crate) fn readable(&self, partition: u32, from: u64) -> Result<u64, Error> {
        let end = self.get(partition)?;
        if from > end {
            return Err(Error::PastEnd { position: Position { partition, offset: from }, end });
        }
        Ok(end)
    }

    /// Publishes new ends. The records below them are durable.
    pub(crate) fn raise(&self, ends: Vec<u64>) {
        self.state.lock().ends = ends;
        self.changed.notify_all();
    }

    pub(crate) fn wait(&self, partition: u32, offset: u64, timeout: Duration) -> Result<bool, Error> {
        let begun = Instant::now();
        let mut state = self.state.lock();
        loop {
            if state.get(partition)? > offset {
                return Ok(true);
            }
            if state.closed {
                return Err(Error::Closed);
            }
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            self.changed.wait_for(&mut state, left);
        }
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

impl State {
    fn get(&self, partition: u32) -> Result<u64, Error> {
        self.ends
            .get(partition as usize)
            .copied()
            .ok_or(Error::NoPartition { partition, partitions: self.ends.len() as u32 })
    }
}
