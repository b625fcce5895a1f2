//! A log that fails on purpose: any log, and a script of what goes wrong with which append.
//!
//! One step of the script is used up by each append; when it is over, all goes well. Nothing here sleeps
//! or draws from a global source: a slow append waits until the test releases it, and a random script is a
//! pure function of its seed.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::log::{Error, Landmark, Log, Position, Read, Record, Stored};

/// What happens to one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It succeeds.
    Pass,
    /// It has no effect: [`Error::NotAppended`].
    FailBefore,
    /// It has its effect, but the acknowledgement is lost: [`Error::MaybeAppended`].
    FailAfter,
    /// The first records are written, as many as are given here, the others not: [`Error::MaybeAppended`].
    Torn(usize),
    /// It waits until [`Faulty::release`], then succeeds.
    Slow,
    /// It has no effect, nor has any after it, as on a full disk: [`Error::Unwritable`].
    Full,
}

/// A log with faults.
pub struct Faulty {
    inner: Arc<dyn Log>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    script: VecDeque<Step>,
    full: bool,
    /// Slow appends that have come, and that may go.
    held: u64,
    released: u64,
    closed: bool,
}

impl Faulty {
    /// A log that works, until a script says otherwise.
    pub fn new(inner: Arc<dyn Log>) -> Self {
        Faulty { inner, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds steps to the end of the script.
    pub fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.state.lock().script.extend(steps);
    }

    /// Adds `steps` random steps, of which about `percent` in a hundred fail: before, after or torn. The
    /// same seed adds the same steps.
    pub fn then_random(&self, seed: u64, steps: u64, percent: u64) {
        self.then((0..steps).map(|step| {
            let random = xxh3_64_with_seed(&step.to_le_bytes(), seed);
            match (random % 100 < percent, (random >> 32) % 3) {
                (false, _) => Step::Pass,
                (true, 0) => Step::FailBefore,
                (true, 1) => Step::FailAfter,
                (true, _) => Step::Torn((random >> 48) as usize % 8),
            }
        }));
    }

    /// Waits until `appends` slow appends have come since the beginning; false when the time is over.
    pub fn wait_held(&self, appends: u64, timeout: Duration) -> bool {
        let mut state = self.state.lock();
        !self.changed.wait_while_for(&mut state, |state| state.held < appends, timeout).timed_out()
    }

    /// Lets one slow append go on; the next one to come if none is waiting.
    pub fn release(&self) {
        self.state.lock().released += 1;
        self.changed.notify_all();
    }

    /// Waits until this slow append is released, in the order of coming, or the log is closed.
    fn hold(&self) {
        let mut state = self.state.lock();
        let mine = state.held;
        state.held += 1;
        self.changed.notify_all();
        self.changed.wait_while(&mut state, |state| state.released <= mine && !state.closed);
    }

    fn next_step(&self) -> Step {
        let mut state = self.state.lock();
        if state.full {
            return Step::Full;
        }
        let step = state.script.pop_front().unwrap_or(Step::Pass);
        state.full = step == Step::Full;
        step
    }
}

impl Log for Faulty {
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    fn append(&self, records: &[Record<'_>]) -> Result<Vec<Position>, Error> {
        let maybe = |reason: &str| Err(Error::MaybeAppended { reason: reason.to_owned() });
        match self.next_step() {
            Step::Pass => self.inner.append(records),
            Step::FailBefore => Err(Error::NotAppended { reason: "injected before the append".to_owned() }),
            Step::FailAfter => {
                self.inner.append(records)?;
                maybe("injected after the append")
            }
            Step::Torn(written) => {
                self.inner.append(&records[..written.min(records.len())])?;
                maybe("injected within the append")
            }
            Step::Slow => {
                self.hold();
                self.inner.append(records)
            }
            Step::Full => Err(Error::Unwritable {
                path: PathBuf::from("faulty"),
                reason: "injected: no space left on device".to_owned(),
            }),
        }
    }

    fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Read, Error> {
        self.inner.read(partition, from, bytes_max)
    }

    fn at(&self, position: Position) -> Result<Option<Stored>, Error> {
        self.inner.at(position)
    }

    fn held(&self) -> u64 {
        self.inner.held()
    }

    fn begin(&self, partition: u32) -> Result<u64, Error> {
        self.inner.begin(partition)
    }

    fn end(&self, partition: u32) -> Result<u64, Error> {
        self.inner.end(partition)
    }

    fn wait(&self, partition: u32, offset: u64, timeout: Duration) -> Result<bool, Error> {
        self.inner.wait(partition, offset, timeout)
    }

    fn commit(&self, next: &[u64]) {
        self.inner.commit(next);
    }

    fn landmark(&self) -> Option<Landmark> {
        self.inner.landmark()
    }

    fn recognise(&self, landmark: &Landmark) -> Result<(), Error> {
        self.inner.recognise(landmark)
    }

    fn close(&self) {
        self.inner.close();
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}
