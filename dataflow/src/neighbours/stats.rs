//! What the graph has done, over all workers of a process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counted as it happens; read at any time.
#[derive(Debug, Default)]
pub struct Stats {
    /// Rows there are.
    pub rows: AtomicU64,
    /// Rows that are to be counted anew in the step at work.
    pub dirty: AtomicU64,
    /// Notes that rows were given.
    pub notes: AtomicU64,
    /// Tracks that a row had to ask about.
    pub questions: AtomicU64,
    /// Those of them that the row lists since.
    pub found: AtomicU64,
    /// Rows counted anew.
    pub recounts: AtomicU64,
    /// Entries visited for that.
    pub visited: AtomicU64,
    /// Time that each operator took, in microseconds, in the order of [`OPERATORS`].
    pub busy_us: [AtomicU64; 4],
}

/// The operators that work, in the order of their work.
pub const OPERATORS: [&str; 4] = ["delta", "rows", "count", "settle"];

/// One of [`OPERATORS`].
#[derive(Clone, Copy)]
pub(super) enum Operator {
    Delta,
    Rows,
    Count,
    Settle,
}

impl Stats {
    pub(super) fn worked(&self, operator: Operator, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.busy_us[operator as usize].fetch_add(us, Relaxed);
    }
}

pub(super) fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Relaxed);
}

pub(super) fn sub(counter: &AtomicU64, number: usize) {
    counter.fetch_sub(number as u64, Relaxed);
}
