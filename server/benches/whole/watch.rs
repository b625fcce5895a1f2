//! How far an engine is, watched from outside.

use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};
use segue_dataflow::neighbours::GraphStep;
use segue_dataflow::workers::{Observer, Progress};

/// How far events and the graph are, and how long each was behind.
#[derive(Default)]
pub struct Watch {
    seen: Mutex<Seen>,
    news: Condvar,
}

/// What was told.
#[derive(Default)]
pub struct Seen {
    /// Position of the next event.
    pub next: u64,
    /// What answers have.
    pub as_of: u64,
    /// What rows have.
    pub graph: u64,
    /// Epochs that answers have and rows have not.
    behind: Vec<(u64, Instant)>,
    /// Seconds from the one to the other.
    lags: Vec<f64>,
}

impl Observer for Watch {
    fn complete(&self, progress: &Progress) {
        let mut seen = self.seen.lock();
        seen.next = progress.next.first().copied().unwrap_or(0);
        seen.as_of = progress.as_of;
        seen.behind.push((progress.as_of, Instant::now()));
        self.news.notify_all();
    }

    fn refused(&self, seq: u64, detail: String) {
        panic!("event {seq}: {detail}");
    }

    fn graph(&self, step: GraphStep) {
        let mut seen = self.seen.lock();
        seen.graph = step.epoch;
        let told = seen.behind.partition_point(|(epoch, _)| *epoch <= step.epoch);
        let lags: Vec<f64> =
            seen.behind.drain(..told).map(|(_, since)| since.elapsed().as_secs_f64()).collect();
        seen.lags.extend(lags);
        self.news.notify_all();
    }
}

impl Watch {
    /// Seconds that epochs were behind in the graph, since last asked.
    pub fn lags(&self) -> Vec<f64> {
        std::mem::take(&mut self.seen.lock().lags)
    }

    /// Waits while it is behind.
    pub fn wait(&self, behind: impl Fn(&Seen) -> bool) -> MutexGuard<'_, Seen> {
        let mut seen = self.seen.lock();
        self.news.wait_while(&mut seen, |seen| behind(seen));
        seen
    }
}
