//! Events on their way to a target: encoded, batched, paced, counted.
//!
//! A [`Publisher`] is the sink of a source. Invariant: what it reports as sent was taken by the target, in
//! order and without gaps, so that an interrupted run goes on exactly at [`Outcome::next_offset`].

mod batch;
mod file;
mod http;
mod kafka;
mod pace;
mod progress;
mod target;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use segue_dataflow::event::Event;

pub use batch::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Batch};
pub use file::{FileTarget, stdout};
pub use http::{HttpTarget, RETRY_MS_MAX, VISIBLE_MS_MAX};
pub use kafka::KafkaTarget;
pub use pace::{Clock, Pace, SystemClock};
pub use progress::Progress;
pub use target::{Address, Receipt, Rejected, Target, TargetError};

use crate::source::{Fault, Sink};

/// Faults and rejections that are told one by one; the others are only counted.
pub const TOLD_MAX: u64 = 20;

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// Events that the target accepted.
    pub accepted: u64,
    /// Events that the target refused, by code.
    pub rejected: BTreeMap<String, u64>,
    /// What could not be read from the sources.
    pub faults: u64,
    /// The offset to go on from: events of the sources that were passed over or sent.
    pub next_offset: u64,
    /// Whether the run was interrupted before the end of the sources.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed_ms: u64,
}

impl Outcome {
    /// Whether all of the sources was read and accepted.
    pub fn is_done(&self) -> bool {
        !self.interrupted && self.faults == 0 && self.rejected.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { accepted, faults, next_offset, elapsed_ms, .. } = self;
        write!(f, "{accepted} events sent in {:.1} s", *elapsed_ms as f64 / 1000.0)?;
        if !self.rejected.is_empty() {
            let each: Vec<_> = self.rejected.iter().map(|(code, n)| format!("{n} {code}")).collect();
            write!(f, ", refused: {}", each.join(", "))?;
        }
        if *faults > 0 {
            write!(f, ", {faults} faults in the sources")?;
        }
        if self.interrupted {
            write!(f, "\ninterrupted after {next_offset} events; go on with --from-offset {next_offset}")?;
        }
        Ok(())
    }
}

/// Sends what a source gives to a target.
pub struct Publisher<'a> {
    target: &'a mut dyn Target,
    pace: Pace,
    clock: &'a mut dyn Clock,
    interrupted: &'a AtomicBool,
    progress: &'a mut Progress,
    from_offset: u64,
    seen: u64,
    batch: Batch,
    outcome: Outcome,
    told: u64,
    failure: Option<TargetError>,
}

impl<'a> Publisher<'a> {
    /// A publisher that passes over the first `from_offset` events.
    pub fn new(
        target: &'a mut dyn Target,
        pace: Pace,
        from_offset: u64,
        clock: &'a mut dyn Clock,
        interrupted: &'a AtomicBool,
        progress: &'a mut Progress,
    ) -> Self {
        Publisher {
            target,
            pace,
            clock,
            interrupted,
            progress,
            from_offset,
            seen: 0,
            batch: Batch::default(),
            outcome: Outcome::default(),
            told: 0,
            failure: None,
        }
    }

    /// Sends what is left, lets the target finish, and says how it went.
    pub fn finish(mut self) -> Result<Outcome, Failed> {
        if self.failure.is_none() && !self.stop() {
            let _ = self.flush();
        }
        self.outcome.interrupted |= self.stop();
        self.outcome.next_offset = self.seen - self.batch.events() as u64;
        if self.failure.is_none()
            && let Err(error) = self.target.finish(self.interrupted)
        {
            self.failure = Some(error);
        }
        self.outcome.elapsed_ms = self.clock.elapsed().as_millis() as u64;
        match self.failure {
            Some(TargetError::Interrupted) => Ok(Outcome { interrupted: true, ..self.outcome }),
            Some(error) => Err(Failed { error, outcome: Box::new(self.outcome) }),
            None => Ok(self.outcome),
        }
    }

    fn stop(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn tell(&mut self, what: &dyn fmt::Display) {
        self.told += 1;
        match self.told {
            ..=TOLD_MAX => self.progress.say(what),
            n if n == TOLD_MAX + 1 => self.progress.say(&"more of these are counted, not shown"),
            _ => {}
        }
    }

    fn flush(&mut self) -> ControlFlow<()> {
        if self.batch.events() == 0 {
            return ControlFlow::Continue(());
        }
        let receipt = match self.target.send(&self.batch, self.interrupted) {
            Ok(receipt) => receipt,
            Err(error) => {
                self.failure = Some(error);
                return ControlFlow::Break(());
            }
        };
        let first = self.seen - self.batch.events() as u64;
        self.progress.sent(self.batch.events() as u64, self.clock.elapsed());
        self.batch.clear();
        self.outcome.accepted += receipt.accepted;
        for Rejected { index, code, detail } in receipt.rejected {
            let offset = first + index;
            self.tell(&format_args!("event {offset} was refused: {code}: {detail}"));
            *self.outcome.rejected.entry(code).or_default() += 1;
        }
        ControlFlow::Continue(())
    }

    /// Sends what is due before `due`, then waits for it.
    fn wait_until(&mut self, due: Duration) -> ControlFlow<()> {
        if due > self.clock.elapsed() {
            self.flush()?;
            self.clock.wait_until(due, self.interrupted);
        }
        ControlFlow::Continue(())
    }
}

impl Sink for Publisher<'_> {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        if self.stop() {
            return ControlFlow::Break(());
        }
        if self.seen < self.from_offset {
            self.seen += 1;
            return ControlFlow::Continue(());
        }
        if let Some(due) = self.pace.due(self.seen - self.from_offset, event.at_ms) {
            self.wait_until(due)?;
            if self.stop() {
                return ControlFlow::Break(());
            }
        }
        self.batch.push(event);
        self.seen += 1;
        if self.batch.is_full() { self.flush() } else { ControlFlow::Continue(()) }
    }

    fn fault(&mut self, fault: Fault) {
        self.outcome.faults += 1;
        self.tell(&fault);
    }

    fn read(&mut self, bytes: u64) {
        self.progress.read(bytes, self.clock.elapsed());
    }
}

/// A run that its target ended.
#[derive(Debug, thiserror::Error)]
#[error("{error}; {} events were sent before: go on with --from-offset {}", outcome.accepted, outcome.next_offset)]
pub struct Failed {
    /// What the target said.
    #[source]
    pub error: TargetError,
    /// How far it came.
    pub outcome: Box<Outcome>,
}
