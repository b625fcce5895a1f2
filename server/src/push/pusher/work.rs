//! A part of the work, on a connection: what is due, then some of what waits, or some of a sweep.

use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;
use segue_connectors::redis::{Connection, Error};
use segue_dataflow::ids::TrackId;

use super::Pusher;
use crate::metrics;
use crate::push::batch::Batch;
use crate::push::pending::Waiting;
use crate::push::sweep::{Begin, Sweep, Swept};

/// How often to see whether the key of the state is there.
const BEAT: Duration = Duration::from_secs(1);
/// So many are looked after in the time of one row that is set.
const LIGHT: usize = 10;
/// In the time that a key lasts, all are looked after so often.
const SWEEPS: u32 = 3;

impl Pusher {
    /// Does what is due, and one part of the work that waits.
    pub(super) fn work_on(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let now = Instant::now();
        self.ledger.forget_gone(now);
        if now >= self.due.beat {
            let epoch = self.epoch();
            if connection.beat(epoch, self.beaten)? {
                self.beaten = self.beaten.max(epoch);
            } else {
                self.beaten = 0;
                self.doubt();
            }
            self.due.beat = now + BEAT;
        }
        if now >= self.due.charts {
            let next = self.parts.progress.borrow().next.clone();
            let settings = &self.parts.settings;
            let from = (&*self.parts.engine, self.parts.days, settings.chart);
            let fit = self.charts.send(&next, from, connection, &mut self.ledger)?;
            if !fit && self.ledger.wanted() > self.planned {
                // Rows give way.
                self.due.sweep = now;
            }
            self.due.charts = now + settings.charts_every.0;
        }
        if std::mem::take(&mut self.owed) {
            self.plan(&Begin::First);
        } else if self.sweep.is_none() && now >= self.due.sweep {
            self.plan(&Begin::Keys);
        }
        if now < self.due.work {
            return Ok(());
        }
        let turn = self.pending.len() == 0 || self.pending.room() > 0 && !self.swept;
        let sweeps = self.sweep.as_ref().is_some_and(|sweep| sweep.is_first() || turn);
        let rows = if sweeps { self.sweep(connection)? } else { self.push(connection)? };
        self.swept = sweeps;
        self.due.work = now + Duration::from_secs_f64(rows / f64::from(self.parts.settings.rows_per_s));
        Ok(())
    }

    /// Begins a sweep: which tracks are to have keys.
    fn plan(&mut self, from: &Begin) {
        let engine = &self.parts.engine;
        self.forgotten = false;
        self.due.sweep = Instant::now() + self.parts.settings.expire.0 / SWEEPS;
        let Some(lease) = engine.lease() else { return };
        let (mut wanted, epoch) = (lease.with_rows(), lease.graph().step());
        drop(lease);
        let all: FxHashSet<TrackId> = wanted.iter().copied().collect();
        self.planned = self.ledger.wanted();
        self.unwanted = wanted.split_off(self.ledger.room_for(&wanted)).into_iter().collect();
        let gone = self.ledger.tracks().filter(|track| !all.contains(track) || self.unwanted.contains(track));
        self.sweep = Some(Sweep::new(gone.collect(), wanted, epoch, from));
        self.charts.doubt();
    }

    /// A part of the sweep; gives how many rows that was worth.
    fn sweep(&mut self, connection: &mut Connection) -> Result<f64, Error> {
        let Some(sweep) = &mut self.sweep else { return Ok(0.0) };
        let first = sweep.is_first();
        let Swept { missing, commands, done } =
            sweep.go_on(connection, &mut self.ledger, self.pending.room())?;
        if first && !sweep.is_first() {
            // It is known by now how much room takes what stands there.
            self.plan(&Begin::Rows);
        }
        let waiting = missing.into_iter().map(|track| Waiting { track, through: 0 });
        let lost = waiting.filter(|waiting| self.pending.add(*waiting).is_some()).count();
        debug_assert_eq!(lost, 0, "there is room for them");
        if done && self.sweep.take().is_some() {
            metrics::redis_swept();
            if !self.forgotten {
                self.filled.get_or_insert(self.pending.added());
            }
            self.worked();
        }
        Ok(commands as f64 / LIGHT as f64)
    }

    /// Pushes the rows that wait longest; gives how many rows that was worth.
    fn push(&mut self, connection: &mut Connection) -> Result<f64, Error> {
        let settings = &self.parts.settings;
        let taken = self.pending.take(settings.batch);
        let Some(graph) = self.parts.engine.graph_lease() else { return Ok(0.0) };
        let rows = (taken.iter().map(|waiting| waiting.track), &graph);
        let (unwanted, layout) = (&self.unwanted, connection.layout().clone());
        let mut batch =
            Batch::new(rows, settings.neighbours, unwanted, &layout, &mut self.ledger, &mut self.uris);
        // Redis may take its time.
        drop(graph);
        let left_out = std::mem::take(&mut batch.left_out);
        let (commands, same) = batch.size();
        let sent = batch.send(connection, &mut self.ledger);
        if let Err(error) = sent {
            self.pending.put_back(taken.into_iter());
            return Err(error);
        }
        self.unwanted.extend(left_out);
        self.worked();
        Ok(commands as f64 + same as f64 / LIGHT as f64)
    }

    /// The epoch as-of which all keys are true; 0 if that is not known.
    pub(super) fn epoch(&self) -> u64 {
        let filled = self.filled.is_some_and(|mark| self.pending.passed() >= mark);
        let epoch = || self.pending.first().map_or(self.through, |waiting| waiting.through);
        if filled { epoch() } else { 0 }
    }
}
