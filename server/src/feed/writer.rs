//! The thread that makes events of what changes in the graph and in the charts, while somebody reads them.
//!
//! It holds the graph as-of the step through which everything was told. When there is a newer one it tells what has
//! changed from that step to this, however many there were in between, and holds this one.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use segue_dataflow::neighbours::Changed;
use segue_dataflow::query::GraphLease;
use segue_dataflow::workers::Engine;
use serde_json::value::{RawValue, to_raw_value};

use super::charts::{LENGTH, Places};
use super::ring::{Draft, Kind, Marks};
use super::rows::{Teller, same};
use super::{Settled, Shared};
use crate::charts::Charts;
use crate::http::show::AsOf;
use crate::metrics;

/// What the thread knows.
pub struct Writer {
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    has_graph: bool,
    /// Days of the trending chart.
    days: u16,
    charted: Instant,
}

/// The engine has stopped.
struct Stopped;

/// An epoch as events carry it.
pub fn as_of(epoch: u64) -> Box<RawValue> {
    to_raw_value(&AsOf::new(epoch)).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl Writer {
    /// Has nothing to do yet.
    pub fn new(shared: Arc<Shared>, engine: Arc<Engine>, has_graph: bool, days: u16) -> Self {
        Writer { shared, engine, has_graph, days, charted: Instant::now() }
    }

    /// Works until the feed is closed or the engine has stopped.
    pub fn run(mut self, woken: &Receiver<()>) {
        let tick = Duration::from_millis(self.shared.settings.charts_ms);
        loop {
            let woken = woken.recv_timeout(tick);
            let closed = self.shared.is_closed() || woken == Err(RecvTimeoutError::Disconnected);
            if closed || self.turn(tick).is_err() {
                // What it holds goes.
                drop(self.shared.state(|state| state.settled.take()));
                return;
            }
        }
    }

    fn turn(&mut self, tick: Duration) -> Result<(), Stopped> {
        let idle = Duration::from_millis(self.shared.settings.idle_ms);
        let (wanted, settled) = self.shared.state(|state| {
            let wanted = state.is_wanted(idle);
            (wanted, if wanted { state.settled.clone() } else { state.rest() })
        });
        if !wanted {
            metrics::changes_kept(0);
            return Ok(());
        }
        let graph =
            self.has_graph.then(|| self.engine.graph_lease().ok_or(Stopped).map(Arc::new)).transpose()?;
        let Some(before) = settled else { return self.begin(graph) };
        let newer = graph.zip(before.graph.as_ref()).filter(|(now, before)| now.step() > before.step());
        let due = self.charted.elapsed() >= tick;
        if newer.is_none() && !due {
            return Ok(());
        }
        let (mut draft, mut settled) = (self.draft(), Settled::clone(&before));
        if let Some((now, before)) = newer {
            draft = self.rows(before, &now, draft);
            (settled.marks.graph, settled.graph) = (Some(now.step()), Some(now));
        }
        if due {
            (settled.charts, settled.marks.charts) = self.charts()?;
            for (track, event) in settled.charts.since(&before.charts, &as_of(settled.marks.charts)) {
                draft.event(&self.shared.instance, Kind::Chart, track, |text| {
                    // A value always becomes JSON, and memory takes it.
                    let _ = serde_json::to_writer(text, &event);
                });
            }
        }
        self.push(draft, Some(settled));
        Ok(())
    }

    /// Begins: whoever reads from the start is told what is there now, and all that changes from now on.
    fn begin(&mut self, graph: Option<Arc<GraphLease>>) -> Result<(), Stopped> {
        let (charts, epoch) = self.charts()?;
        let marks = Marks { graph: graph.as_ref().map(|graph| graph.step()), charts: epoch };
        self.push(self.draft(), Some(Settled { position: 0, marks, graph, charts }));
        Ok(())
    }

    fn charts(&mut self) -> Result<(Arc<Places>, u64), Stopped> {
        self.charted = Instant::now();
        let charts = Charts::read(&self.engine, self.days, LENGTH).ok_or(Stopped)?;
        Ok((Arc::new(Places::of(&charts)), charts.as_of))
    }

    fn draft(&self) -> Draft {
        self.shared.state(|state| state.ring.draft())
    }

    fn push(&self, draft: Draft, settled: Option<Settled>) {
        metrics::changes_made(draft.len());
        let (bytes, before) = self.shared.state(|state| state.push(draft, settled));
        // It may have been the last to hold a step.
        drop(before);
        metrics::changes_kept(bytes);
        self.shared.news.send_modify(|_| {});
    }

    /// Tells what has changed of the rows.
    fn rows(&self, before: &GraphLease, now: &GraphLease, mut draft: Draft) -> Draft {
        let at = as_of(now.step());
        let uri = |track| now.uri(track).or_else(|| before.uri(track));
        let teller = Teller { as_of: &at, uri };
        for Changed { track, old, new } in now.since(before) {
            if old.as_ref().zip(new.as_ref()).is_some_and(|(old, new)| same(old, new)) {
                continue;
            }
            let Some(owner) = uri(track) else { continue };
            draft.event(&self.shared.instance, Kind::Neighbours, track, |text| match (old, new) {
                (Some(old), Some(new)) => teller.changed(&owner, &old, &new, text),
                (None, Some(new)) => teller.whole(&owner, &new, text),
                (_, None) => teller.gone(&owner, text),
            });
            if draft.is_full() {
                self.push(draft, None);
                draft = self.draft();
            }
        }
        draft
    }
}
