//! The thread that makes events of the graph's steps and of the charts, while somebody reads them.
//!
//! URIs are looked up as-of the present, which may be after the step. A neighbour that is gone by then is left out, as
//! in answers; its row is told again, whole, after the next step, should the neighbour be back and the row the same.
//! The URIs of tracks with a row are remembered: it must be told when such a track is gone.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};
use segue_dataflow::ids::TrackId;
use segue_dataflow::neighbours::{Changed, GraphStep};
use segue_dataflow::query::Lease;
use segue_dataflow::workers::Engine;
use serde_json::value::{RawValue, to_raw_value};

use super::charts::Charts;
use super::ring::{Draft, Kind, Marks};
use super::rows::{Teller, same};
use super::{Said, Shared};
use crate::http::show::AsOf;
use crate::metrics;

/// Rows that are told as-of one look at the present: as long as it lasts, nothing is forgotten.
const ROWS: usize = 1_000;

/// What the thread knows.
pub struct Writer {
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    has_graph: bool,
    /// Days of the trending chart.
    days: u16,
    owners: FxHashMap<TrackId, Box<str>>,
    /// Tracks that have a row but were gone when it was to be told, with the copies that were begun or done by then.
    untold: FxHashMap<TrackId, u64>,
    charts: Arc<Charts>,
    charted: Option<Instant>,
    marks: Marks,
    /// Rows were told as-of this step: what is before it is not told to be complete.
    ahead: u64,
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
        Writer {
            shared,
            engine,
            has_graph,
            days,
            owners: FxHashMap::default(),
            untold: FxHashMap::default(),
            charts: Arc::default(),
            charted: None,
            marks: Marks::default(),
            ahead: 0,
        }
    }

    /// Works until the feed is closed or the engine has stopped.
    pub fn run(mut self, said: &Receiver<Said>) {
        let tick = Duration::from_millis(self.shared.settings.charts_ms);
        loop {
            let step = match said.recv_timeout(tick) {
                Ok(Said::Step(step)) => Some(step),
                Ok(Said::Look) | Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.shared.is_closed() || self.turn(step).is_err() {
                return;
            }
        }
    }

    fn turn(&mut self, step: Option<GraphStep>) -> Result<(), Stopped> {
        let lost = self.shared.take_lost();
        let (wanted, active) = self.shared.state(|state| {
            let wanted = state.is_wanted(Duration::from_millis(self.shared.settings.idle_ms));
            if state.active && (lost || !wanted) {
                state.ring.gap();
                (state.active, state.charts) = (false, Arc::default());
                state.retry.clear();
            }
            (wanted, state.active)
        });
        if !active {
            (self.owners, self.charts) = Default::default();
            self.shared.tell();
            metrics::changes_kept(0);
            if !wanted {
                return Ok(());
            }
            self.begin()?;
        }
        let new = step.filter(|step| self.marks.graph.is_some_and(|begun| step.epoch > begun));
        let mut draft = match new {
            Some(step) => self.step(&step)?,
            None => self.draft(0),
        };
        if self
            .charted
            .is_none_or(|last| last.elapsed() >= Duration::from_millis(self.shared.settings.charts_ms))
        {
            draft = self.chart(draft)?;
        }
        // With something missing, the next turn lets all go.
        let marks = (!self.shared.has_lost()).then_some(self.marks);
        self.push(draft, marks);
        Ok(())
    }

    fn lease(&self) -> Result<Lease<'_>, Stopped> {
        self.engine.lease().ok_or(Stopped)
    }

    /// Begins: whoever reads from the start reads the graph as-of now or later.
    fn begin(&mut self) -> Result<(), Stopped> {
        let lease = self.lease()?;
        let rows = if self.has_graph { lease.rows() } else { Vec::new() };
        let owners = rows.iter().filter_map(|(track, _)| Some((*track, lease.uri(*track)?))).collect();
        let charts = Arc::new(Charts::read(&lease, self.days));
        let marks = Marks { graph: self.has_graph.then(|| lease.graph()), charts: lease.as_of() };
        drop(lease);
        self.marks = marks;
        (self.owners, self.charts, self.charted) = (owners, charts, Some(Instant::now()));
        self.untold.clear();
        let draft = self.draft(0);
        self.shared.state(|state| state.active = true);
        self.push(draft, Some(self.marks));
        Ok(())
    }

    fn draft(&self, step: u64) -> Draft {
        self.shared.state(|state| state.ring.draft(step))
    }

    fn push(&self, draft: Draft, marks: Option<Marks>) {
        metrics::changes_made(draft.len());
        let bytes = self.shared.state(|state| {
            state.ring.push(draft, marks);
            state.charts = Arc::clone(&self.charts);
            state.ring.bytes()
        });
        metrics::changes_kept(bytes);
        self.shared.tell();
    }

    /// Makes events of a step.
    fn step(&mut self, step: &GraphStep) -> Result<Draft, Stopped> {
        let (at, epoch) = (as_of(step.epoch), step.epoch);
        let mut draft = self.draft(epoch);
        let again = self.shared.state(|state| state.again(epoch));
        let mut left_out = FxHashSet::default();
        let engine = Arc::clone(&self.engine);
        for rows in step.rows.chunks(ROWS) {
            let lease = engine.lease().ok_or(Stopped)?;
            for row in rows {
                let whole = again.contains(&row.track);
                if !self.row(row, whole, &lease, &at, &mut draft) {
                    left_out.insert(row.track);
                }
                if draft.is_full() {
                    self.push(draft, None);
                    draft = self.draft(epoch);
                }
            }
        }
        let told: FxHashSet<TrackId> = step.rows.iter().map(|row| row.track).collect();
        let others: Vec<TrackId> = again.difference(&told).copied().collect();
        if !others.is_empty() {
            let lease = engine.lease().ok_or(Stopped)?;
            self.ahead = lease.graph();
            for track in others {
                let Some(row) = lease.row(track) else { continue };
                let row = Changed { track, old: None, new: Some(row) };
                if !self.row(&row, true, &lease, &at, &mut draft) {
                    left_out.insert(track);
                }
            }
        }
        self.shared.state(|state| state.retry(left_out, epoch));
        if epoch >= self.ahead {
            self.marks.graph = Some(epoch);
        }
        Ok(draft)
    }

    /// Tells a row. False if something had to be left out.
    fn row(
        &mut self,
        row: &Changed,
        whole: bool,
        lease: &Lease<'_>,
        at: &RawValue,
        draft: &mut Draft,
    ) -> bool {
        let Changed { track, old, new } = row;
        if old.is_none() && new.is_none() {
            return true;
        }
        if let (Some(old), Some(new), false) = (old, new, whole)
            && same(old, new)
        {
            return true;
        }
        let teller = Teller { as_of: at, uri: |track| lease.uri(track) };
        let Some(owner) = self.owners.get(track).cloned().or_else(|| lease.uri(*track)) else {
            let copies = self.shared.state(|state| state.copies);
            if new.is_some() {
                self.untold.entry(*track).or_insert(copies);
            } else if self.untold.remove(track) != Some(copies) {
                // Somebody may know it, and can only be told by its name: let all begin anew.
                self.shared.lose();
            }
            return new.is_none();
        };
        self.untold.remove(track);
        let mut complete = true;
        draft.event(&self.shared.instance, Kind::Neighbours, *track, |text| {
            complete = match (old, new) {
                (Some(old), Some(new)) if !whole => teller.changed(&owner, old, new, text),
                (_, Some(new)) => teller.whole(&owner, new, text),
                (_, None) => {
                    teller.gone(&owner, text);
                    true
                }
            };
        });
        match new {
            Some(_) => drop(self.owners.insert(*track, owner)),
            None => drop(self.owners.remove(track)),
        }
        complete
    }

    /// Tells what has changed of the charts.
    fn chart(&mut self, mut draft: Draft) -> Result<Draft, Stopped> {
        let lease = self.lease()?;
        let (charts, epoch) = (Charts::read(&lease, self.days), lease.as_of());
        drop(lease);
        for (track, event) in charts.since(&self.charts, &as_of(epoch)) {
            draft.event(&self.shared.instance, Kind::Chart, track, |text| {
                // A value always becomes JSON, and memory takes it.
                let _ = serde_json::to_writer(text, &event);
            });
        }
        (self.charts, self.charted, self.marks.charts) = (Arc::new(charts), Some(Instant::now()), epoch);
        Ok(draft)
    }
}
