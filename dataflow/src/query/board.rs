//! The board: where the workers of one process show their views, for readers on any other thread.
//!
//! Each worker puts up its views whenever an epoch is complete. A reader takes the newest epoch that all
//! have reached, with a *lease*: as long as it lasts, no worker forgets what that epoch needs. Such a read
//! waits for no worker and wakes none, and it runs the same plans as a query in the dataflow. The graph has a
//! lease of its own ([`graph`]), as-of the newest step, which holds back nothing but rows and URIs.

mod graph;
mod pin;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::plan::{Here, Next, Start, plan};
use super::{Answer, Question};
use crate::neighbours::{Changed, GraphStep, Stats};
use crate::settings::{RowRules, Settings};
use crate::snapshot::{Restored, Share};
use crate::views::popularity::Popularity;
use crate::views::{Shared, Views};
pub use graph::GraphLease;
pub use pin::{Foreseen, Pin};

/// What the workers of one process share.
pub struct Board {
    /// One for all of them.
    pub popularity: Shared<Popularity>,
    /// What their graph has done.
    pub graph: Arc<Stats>,
    settings: Settings,
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    workers: Vec<Worker>,
    /// Of epochs.
    epochs_read: Readers,
    /// Of steps of the graph.
    steps_read: Readers,
    /// Steps of the graph that some worker has ended and some have not, with what they changed.
    steps: BTreeMap<u64, GraphStep>,
    /// By the epoch in which it was fed: by partition of the log, the next offset.
    fed: BTreeMap<u64, Vec<u64>>,
    told: u64,
    closed: bool,
    /// What the workers go on from: its epoch, and what of it no worker has taken yet.
    begin: u64,
    shares: Vec<Option<Share>>,
}

#[derive(Clone, Default)]
struct Worker {
    /// As it last looked at them.
    views: Option<Views>,
    /// They are complete through this epoch; none if readers are to see none.
    through: Option<u64>,
    /// It will not read before this epoch itself.
    since: u64,
    /// The newest step of the graph that it knows to have ended.
    graph: u64,
}

/// How many readers there are, by what they read.
#[derive(Default)]
struct Readers(BTreeMap<u64, usize>);

/// The views of all workers, readable as-of one epoch as long as this lives.
pub struct Lease {
    pin: Pin,
    graph: GraphLease,
    next: Vec<u64>,
    /// Of all workers as if they were one.
    views: Views,
}

impl Board {
    /// For so many workers.
    pub fn new(workers: usize, settings: Settings) -> Self {
        let state = State {
            workers: vec![Worker::default(); workers],
            epochs_read: Readers::default(),
            steps_read: Readers::default(),
            steps: BTreeMap::new(),
            fed: BTreeMap::new(),
            told: 0,
            closed: false,
            begin: 0,
            shares: Vec::new(),
        };
        let (popularity, graph) = Default::default();
        Board { popularity, graph, settings, state: Mutex::new(state), news: Condvar::new() }
    }

    /// Has a state that the workers go on from. To be called before they start.
    pub fn restore(&self, restored: Restored) {
        let (begin, next, shares) =
            restored.take_apart(&mut self.popularity.write(), &self.settings.neighbours);
        let mut state = self.state.lock();
        state.begin = begin;
        state.fed.insert(begin, next);
        state.shares = shares.into_iter().map(Some).collect();
    }

    /// The epoch after which the workers begin.
    pub fn begin(&self) -> u64 {
        self.state.lock().begin
    }

    /// What worker `index`, of all processes, goes on from.
    pub(crate) fn share(&self, index: usize) -> Share {
        self.state.lock().shares.get_mut(index).and_then(Option::take).unwrap_or_default()
    }

    /// What is fed in `epoch` or before leads on to these offsets, by partition of the log.
    pub fn fed(&self, epoch: u64, next: &[u64]) {
        self.state.lock().fed.insert(epoch, next.to_vec());
    }

    /// By partition of the log, the offset of the first event that answers as-of `epoch` do not include.
    pub fn next(&self, epoch: u64) -> Vec<u64> {
        self.state.lock().next(epoch)
    }

    /// Worker `index` has looked at its views.
    pub fn renew(&self, index: usize, views: Views) {
        if let Some(worker) = self.state.lock().workers.get_mut(index) {
            worker.views = Some(views);
        }
    }

    /// The views of all workers as they last looked at them, as if they were one; none before the first look.
    pub fn views(&self) -> Option<Views> {
        let views = self.state.lock().views();
        Views::of_all(&views?)
    }

    /// What worker `index` sees is complete through `through`. If that makes a newer epoch readable, `tell` hears of
    /// it and of the offsets it leads to, in order. Gives the epoch before which no reader looks any more.
    pub fn show(&self, index: usize, through: u64, tell: impl FnOnce(u64, Vec<u64>)) -> u64 {
        let mut state = self.state.lock();
        if let Some(worker) = state.workers.get_mut(index) {
            worker.through = Some(through);
        }
        let newest = state.newest().unwrap_or(0);
        if newest > state.told {
            state.told = newest;
            self.news.notify_all();
            tell(newest, state.next(newest));
        }
        state.epochs_read.oldest().map_or(newest, |oldest| newest.min(oldest))
    }

    /// Worker `index` knows that a step of the graph has ended, and what it has changed there. `tell` hears of
    /// each step that all workers know of, in order. Gives the step before which no reader looks any more.
    pub(crate) fn step(
        &self,
        index: usize,
        epoch: u64,
        changed: Vec<Changed>,
        mut tell: impl FnMut(GraphStep),
    ) -> u64 {
        let mut state = self.state.lock();
        if let Some(worker) = state.workers.get_mut(index) {
            worker.graph = epoch;
        }
        let step = state.steps.entry(epoch).or_insert_with(|| GraphStep { epoch, rows: Vec::new() });
        step.add(changed);
        let newest = state.graph();
        self.news.notify_all();
        while let Some(step) = state.steps.first_entry().filter(|step| *step.key() <= newest) {
            tell(step.remove());
        }
        state.steps_read.oldest().map_or(newest, |oldest| oldest.min(newest))
    }

    /// The newest step of the graph that answers have.
    pub fn graph_epoch(&self) -> u64 {
        self.state.lock().graph()
    }

    /// Worker `index` will not read before `since` any more.
    pub fn hold(&self, index: usize, since: u64) {
        let mut state = self.state.lock();
        if let Some(worker) = state.workers.get_mut(index) {
            worker.since = since;
        }
        let since = state.workers.iter().map(|worker| worker.since).min().unwrap_or(0);
        if let Some(newest) = state.fed.range(..=since).next_back().map(|(epoch, _)| *epoch) {
            let later = state.fed.split_off(&newest);
            // It is to be told whether the graph has all that came: its next step is not before `since`.
            let step =
                state.fed.range(..=state.graph()).next_back().map(|(epoch, next)| (*epoch, next.clone()));
            state.fed = later;
            state.fed.extend(step);
        }
        drop(state);
        self.popularity.write().forget_before(since);
    }

    /// Ends all waiting, and shows nothing any more.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.workers.iter_mut().for_each(|worker| worker.through = None);
        self.news.notify_all();
    }

    /// Waits until there is an epoch that all workers have reached; none once the board is closed.
    pub fn lease(self: &Arc<Self>) -> Option<Lease> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(as_of) = state.newest() {
                return self.lease_of(as_of, &mut state);
            }
            self.news.wait(&mut state);
        }
    }

    /// Waits for so long, at the most, until a step of the graph ends that has all that the present has. Then it is as-of
    /// that step, if more has come since. None once the board is closed.
    pub fn lease_with_graph(self: &Arc<Self>, patience: Duration) -> Option<Lease> {
        // Holds whatever the step needs.
        let now = self.lease()?;
        if self.settings.neighbours.keep == 0 {
            return Some(now);
        }
        let mut state = self.state.lock();
        let ended = |state: &State| {
            let step = state.graph();
            let epoch = step.max(now.as_of());
            (state.newest()? >= epoch && state.is_current(step, epoch)).then_some(epoch)
        };
        self.news.wait_while_for(&mut state, |state| !state.closed && ended(state).is_none(), patience);
        match ended(&state) {
            _ if state.closed => None,
            Some(epoch) => self.lease_of(epoch, &mut state),
            None => {
                drop(state);
                Some(now)
            }
        }
    }

    /// Of an epoch that is held or the newest; none if some worker shows nothing.
    fn lease_of(self: &Arc<Self>, as_of: u64, state: &mut State) -> Option<Lease> {
        let views = Views { graph: state.graph(), ..Views::of_all(&state.views()?)? };
        state.epochs_read.more(as_of);
        state.steps_read.more(views.graph);
        let graph =
            GraphLease { board: Arc::clone(self), books: Arc::clone(&views.books), step: views.graph };
        let (pin, next) = (Pin { board: Arc::clone(self), as_of }, state.next(as_of));
        Some(Lease { pin, graph, next, views })
    }

    /// Waits until answers include what comes before the offset `next` of a partition; false once the board is
    /// closed.
    pub fn wait(&self, partition: usize, next: u64) -> bool {
        let mut state = self.state.lock();
        let includes = |state: &State| {
            let offsets = state.newest().map(|newest| state.next(newest)).unwrap_or_default();
            offsets.get(partition).is_some_and(|there| *there >= next)
        };
        self.news.wait_while(&mut state, |state| !state.closed && !includes(state));
        !state.closed
    }

    /// Answers a question on the calling thread; none once the board is closed.
    pub fn answer(self: &Arc<Self>, question: Question) -> Option<Answer> {
        Some(self.lease()?.answer(question))
    }
}

impl State {
    /// The newest epoch that all workers have reached.
    fn newest(&self) -> Option<u64> {
        self.workers.iter().map(|worker| worker.through).min().flatten()
    }

    /// The views of each worker, if all have looked.
    fn views(&self) -> Option<Vec<Views>> {
        self.workers.iter().map(|worker| worker.views.clone()).collect()
    }

    /// The newest step of the graph that all workers know to have ended.
    fn graph(&self) -> u64 {
        self.workers.iter().map(|worker| worker.graph).min().unwrap_or(0)
    }

    /// Whether nothing was fed after a step of the graph, up to `epoch`.
    fn is_current(&self, graph: u64, epoch: u64) -> bool {
        graph > self.begin && self.next(graph) == self.next(epoch)
    }

    fn next(&self, epoch: u64) -> Vec<u64> {
        self.fed.range(..=epoch).next_back().map(|(_, next)| next.clone()).unwrap_or_default()
    }
}

impl Readers {
    fn more(&mut self, of: u64) {
        *self.0.entry(of).or_default() += 1;
    }

    fn less(&mut self, of: u64) {
        let readers = self.0.entry(of).or_default();
        *readers = readers.saturating_sub(1);
        if *readers == 0 {
            self.0.remove(&of);
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.0.keys().next().copied()
    }
}

impl Lease {
    /// The epoch.
    pub fn as_of(&self) -> u64 {
        self.pin.as_of
    }

    /// The epoch, the offsets it leads to, and the views; with the graph and its rules if its rows are exact as-of this
    /// epoch: nothing has come since its newest step. Else it is let go.
    pub(crate) fn take_apart(self) -> (Pin, Vec<u64>, Views, Option<(RowRules, GraphLease)>) {
        let Lease { pin, graph, next, views } = self;
        let is_current = pin.board.state.lock().is_current(graph.step, pin.as_of);
        let rules = pin.board.settings.neighbours.of_rows();
        (pin, next, views, is_current.then_some((rules, graph)))
    }

    /// The views of all workers.
    pub(crate) fn views(&self) -> &Views {
        &self.views
    }

    /// Answers a question as-of this epoch, on the calling thread.
    pub fn answer(&self, question: Question) -> Answer {
        let start = Start { peers: 1, home: 0, settings: self.pin.board.settings };
        let here = Here { start, views: &self.views, epoch: self.as_of() };
        let mut plan = plan(question);
        let mut asks = plan.start(&start);
        loop {
            let found = asks.iter().map(|(_, read)| read.run(&self.views, self.as_of())).collect();
            match plan.next(found, &here) {
                Next::Ask(more) => asks = more,
                Next::Done(body) => return Answer { as_of: self.as_of(), next: self.next.clone(), body },
            }
        }
    }
}
