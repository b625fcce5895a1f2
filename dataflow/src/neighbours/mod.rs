//! The graph of co-occurrence, kept up to date by the delta rule: [`pace`] says when, [`delta`] (where the
//! playlists live) makes notes of their changes, [`rows`] (where the rows live) takes them and asks for what it
//! cannot know, [`count`] (once in each process) answers from the posting lists there, [`settle`] (where the rows
//! live) takes the answers in, [`step`] tells what came of it.
//!
//! The row of a track: over the track's sample, how many playlists hold each other track; the `keep` highest by
//! count, then by id, counts from 2; for tracks that `min_support` playlists hold at least. It is a pure
//! function of the entries. Rows are exact as-of each step, which is a multiple of the grid; one step is at work
//! at a time, everywhere, and its capability is held until it has ended: the frontier tells how far the graph
//! is. All work is done in slices of [`SLICE`], as events and questions wait for the same threads.

mod count;
mod delta;
mod listing;
mod pace;
mod pending;
mod row;
mod rows;
mod settle;
mod stats;
mod step;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use differential_dataflow::trace::Span;
use timely::dataflow::StreamVec;
use timely::dataflow::operators::core::{Concat, OkErr};
use timely::scheduling::Activator;

use crate::apply::Count;
use crate::ids::{PlaylistId, TrackId};
use crate::query::{Hub, Local};
use crate::settings::Neighbours;
use crate::views::Shared;
use crate::views::batch::Batch;
use crate::views::book::Book;
use row::Draft;
pub use row::Row;
use settle::Open;
pub use stats::{OPERATORS, Stats};
pub use step::{Changed, GraphStep};

/// How long an operator works at a time.
const SLICE: Duration = Duration::from_micros(250);

/// Changes of entries as they come out of [`crate::apply`].
pub type Batches<'s> = StreamVec<'s, u64, Span<u64, Batch<PlaylistId, TrackId>>>;

/// Track → row, of one worker.
pub type Rows = Book<TrackId, Arc<Row>>;

/// A worker among all.
#[derive(Clone, Copy)]
pub struct Place {
    /// Its number, over all processes.
    pub worker: u64,
    /// How many there are.
    pub workers: u64,
    /// How many of them each process has.
    pub local: u64,
}

impl Place {
    /// One worker of each process: those that count for this one. They read what all workers of their process have.
    fn counters(self) -> impl Iterator<Item = u64> {
        (self.worker % self.local..self.workers).step_by(self.local as usize)
    }

    fn processes(self) -> u64 {
        self.workers / self.local
    }
}

/// What the operators of one worker share.
pub struct Graph {
    rules: Neighbours,
    place: Place,
    rows: Shared<Rows>,
    stats: Arc<Stats>,
    open: Open,
    /// The newest step that has ended.
    ended: u64,
    /// Steps that have ended, with the rows that they changed, for whoever drives the worker to take away.
    done: VecDeque<(u64, Vec<Changed>)>,
    wake_pace: Option<Activator>,
    wake_rows: Option<Activator>,
}

impl Graph {
    /// Of one worker, that keeps its rows there; those that are there already are exact as-of `begin`. Steps come
    /// after it.
    pub fn new(rules: Neighbours, begin: u64, place: Place, rows: Shared<Rows>, stats: Arc<Stats>) -> Self {
        let rules = Neighbours { grid_ms: rules.grid_ms.max(1), ..rules };
        stats::add(&stats.rows, rows.read().len(begin));
        Graph {
            rules,
            place,
            rows,
            stats,
            open: Open::default(),
            ended: begin,
            done: VecDeque::new(),
            wake_pace: None,
            wake_rows: None,
        }
    }

    /// The oldest step not yet taken that has ended at `through` or before: its epoch, and what it changed.
    pub fn take_step(&mut self, through: u64) -> Option<(u64, Vec<Changed>)> {
        let is_due = self.done.front().is_some_and(|(epoch, _)| *epoch <= through);
        if is_due { self.done.pop_front() } else { None }
    }

    /// How soon an epoch is wanted so that the rows have what was fed through `epoch`; none if they have.
    pub fn wants(&self, epoch: u64) -> Option<Duration> {
        (self.ended < epoch).then_some(Duration::from_millis(self.grid()))
    }

    fn grid(&self) -> u64 {
        self.rules.grid_ms
    }

    /// Changes that are this worker's share of a burst.
    fn share(&self) -> usize {
        (u64::from(self.rules.burst) / self.place.workers).max(1) as usize
    }

    /// The rules, the share and the statistics.
    fn outfit(&self) -> (Neighbours, usize, Arc<Stats>) {
        (self.rules, self.share(), Arc::clone(&self.stats))
    }

    fn owns(&self, track: TrackId) -> bool {
        track.0 % self.place.workers == self.place.worker
    }

    /// Puts a row in the place of the one there was.
    fn set(&mut self, epoch: u64, track: TrackId, new: Option<Arc<Row>>) -> Option<Changed> {
        let mut rows = self.rows.write();
        let old = rows.newest(&track).cloned();
        if old.is_none() && new.is_none() {
            return None;
        }
        stats::add(&self.stats.rows, usize::from(new.is_some()));
        stats::sub(&self.stats.rows, usize::from(old.is_some()));
        rows.set(epoch, track, new.clone());
        Some(Changed { track, old, new })
    }

    /// Changes a row; gives it if its neighbours or sample are others now, and what `work` says. None if there
    /// is no such row.
    fn change<T>(
        &mut self,
        epoch: u64,
        track: TrackId,
        work: impl FnOnce(&mut Draft<'_>) -> T,
    ) -> Option<(Option<Changed>, T)> {
        let mut rows = self.rows.write();
        let slot = rows.newest_mut(&track)?;
        let mut draft = Draft::new(slot);
        let said = work(&mut draft);
        let Some(old) = draft.old.take() else { return Some((None, said)) };
        // The book is to remember the old one.
        let new = std::mem::replace(slot, Arc::clone(&old));
        rows.set(epoch, track, Some(Arc::clone(&new)));
        Some((Some(Changed { track, old: Some(old), new: Some(new) }), said))
    }

    /// A step has ended on all workers.
    fn end(&mut self, epoch: u64, changed: Vec<Changed>) {
        self.ended = epoch;
        self.done.push_back((epoch, changed));
        self.wake_pace.iter().for_each(|pace| pace.activate());
    }
}

/// Builds the graph; see [`Graph::take_step`] for what comes of it. `counts` are changes of how many playlists hold
/// this worker's tracks; `complete` has no records: its frontier tells what all views have seen.
pub fn neighbours<'s>(
    batches: &Batches<'s>,
    counts: StreamVec<'s, u64, Count>,
    complete: StreamVec<'s, u64, ()>,
    graph: &Local<Graph>,
    hub: &Local<Hub>,
) {
    let steps = pace::pace(batches.clone(), complete, graph);
    let notes = delta::delta(batches.clone(), steps, graph, hub);
    let (asks, changes) = rows::rows(notes, counts, graph, hub).ok_err(|said| said);
    let replies = count::count(asks, graph, hub);
    step::end(changes.concat(settle::settle(replies, graph, hub)), graph);
}
