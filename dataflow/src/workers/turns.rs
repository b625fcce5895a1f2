//! One worker's loop.
//!
//! *Who closes an epoch*: whoever has something in it, by a broadcast "close e" in a dataflow of its own,
//! which wakes parked workers; all who hear it advance. At most one epoch per gap, one a second when
//! nothing happens. Events enter at worker 0, in log order, and are exchanged from there: so what is
//! complete is a prefix of every partition of the log.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crossbeam_channel::TryRecvError;
use rustc_hash::FxHashMap;
use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::core::Inspect;
use timely::dataflow::operators::vec::Broadcast;
use timely::worker::Worker;

use super::{Batch, Clock, Command, Observer, Progress, QUESTIONS_MAX, Reply};
use crate::engine::Dataflow;
use crate::query::{Board, Query};

/// Entries that one epoch takes at the most while the log is far ahead.
const EPOCH_ENTRIES_MAX: usize = 200_000;
/// Entries that may be on their way into the views before no more are taken.
const IN_FLIGHT_ENTRIES_MAX: usize = 2 * EPOCH_ENTRIES_MAX;
/// As good as never: a worker that waits so long is woken by others.
const NEVER: Duration = Duration::from_secs(86_400);
/// How long an epoch stays open at the most while the log is far ahead.
const LOADING_GAP: Duration = Duration::from_millis(50);
/// What an epoch that is closed but not complete has taken in.
struct Closed {
    epoch: u64,
    entries: usize,
}

/// Where worker 0 gets edits from. Whoever feeds wakes it only if it is asleep: to be woken by each event of
/// an epoch would cost more than the event itself.
pub struct Feed {
    pub batches: crossbeam_channel::Receiver<Batch>,
    pub asleep: Arc<AtomicBool>,
}

impl Feed {
    /// Says whether the worker is about to sleep until it is woken; false if it must not, since something has
    /// come before this was said.
    fn sleep(&self, asleep: bool) -> bool {
        self.asleep.store(asleep, Ordering::SeqCst);
        !asleep || self.batches.is_empty()
    }
}

/// What a worker does over and over.
pub struct Loop {
    dataflow: Dataflow,
    board: Arc<Board>,
    gap: Duration,
    heartbeat: Duration,
    clock: Clock,
    observer: Arc<dyn Observer>,
    feed: Option<Feed>,
    peeked: Option<Batch>,
    commands: Receiver<Command>,
    replies: FxHashMap<u64, Reply>,
    asked: u64,
    /// Offsets by partition that the open epoch leads to, and the entries in it.
    next: Vec<u64>,
    entries: usize,
    questions: bool,
    closed: VecDeque<Closed>,
    /// The newest epoch that all were asked to close.
    through: u64,
    /// The newest epoch that readers are shown.
    shown: u64,
    /// The newest epoch that something was fed into.
    fed: u64,
    in_flight: usize,
    /// "Close e", and the newest such that was heard: (time of the message, e). All move the input on to
    /// what they heard: an input left behind would keep every message's accounts open for ever.
    closes: InputHandleVec<u64, (u64, u64)>,
    heard: Rc<Cell<(u64, u64)>>,
    stopping: bool,
}

impl Loop {
    /// Around the dataflow that this worker has built; `feed` is worker 0's alone.
    pub fn new(
        worker: &mut Worker,
        mut dataflow: Dataflow,
        (gap, heartbeat): (Duration, Duration),
        (clock, observer, board): (Clock, Arc<dyn Observer>, Arc<Board>),
        feed: Option<Feed>,
        commands: Receiver<Command>,
    ) -> Self {
        let heard = Rc::new(Cell::new((0, 0)));
        let (mut closes, hears) = (InputHandleVec::<u64, (u64, u64)>::new(), Rc::clone(&heard));
        worker.dataflow::<u64, _, _>(|scope| {
            closes.to_stream(scope).broadcast().inspect(move |(sent, epoch)| {
                let (newest, goal) = hears.get();
                hears.set((newest.max(*sent), goal.max(*epoch)));
            });
        });
        let begin = board.begin();
        dataflow.advance(clock().max(begin + 1));
        let next = board.next(begin);
        Loop {
            dataflow,
            board,
            gap,
            heartbeat,
            clock,
            observer,
            feed,
            peeked: None,
            commands,
            replies: FxHashMap::default(),
            asked: 0,
            next,
            entries: 0,
            // So that there is an epoch to read as soon as can be.
            questions: true,
            closed: VecDeque::new(),
            through: 0,
            shown: 0,
            fed: begin,
            in_flight: 0,
            closes,
            heard,
            stopping: false,
        }
    }

    /// Runs until all workers are to stop.
    pub fn run(mut self, worker: &mut Worker) {
        let (mut since, mut requested) = (Instant::now(), 0);
        while self.heard.get().1 != u64::MAX {
            self.take_commands();
            self.take_batches();
            let left = self.left(worker.index(), since.elapsed());
            let close = if self.stopping {
                u64::MAX
            } else if left.is_zero() && requested < self.dataflow.open() {
                self.dataflow.open()
            } else {
                0
            };
            if close > 0 {
                requested = close;
                let sent = *self.closes.time();
                self.closes.send((sent, close));
                // `flush` would neither push out nor activate.
                self.closes.advance_to(sent + 1);
            }
            let may_wait =
                self.feed.iter().all(|feed| feed.sleep(self.entries == 0 && self.peeked.is_none()));
            // With the request on its way there is nothing to time: what is heard unparks.
            let wait =
                if close > 0 || !may_wait { Duration::ZERO } else { left.max(Duration::from_micros(50)) };
            worker.step_or_park(Some(wait));
            // Whoever answers a question and waits for the processor comes first.
            std::thread::yield_now();
            let (sent, goal) = self.heard.get();
            if *self.closes.time() <= sent {
                self.closes.advance_to(sent + 1);
            }
            if goal > self.through && goal != u64::MAX {
                self.through = goal;
                if goal >= self.dataflow.open() {
                    self.close(goal);
                    since = Instant::now();
                } else {
                    // Its clock was ahead: here the epoch is closed already, and has still to be shown.
                    self.closed.push_back(Closed { epoch: goal, entries: 0 });
                }
            }
            self.report();
        }
    }

    fn take_commands(&mut self) {
        for _ in 0..QUESTIONS_MAX {
            match self.commands.try_recv() {
                Ok(Command::Ask(question, reply)) => {
                    self.asked += 1;
                    self.questions = true;
                    if self.dataflow.ask(Query { id: self.asked, question }) {
                        self.replies.insert(self.asked, reply);
                    }
                }
                Ok(Command::Stop) => self.stopping = true,
                Err(_) => break,
            }
        }
    }

    /// Feeds what has come, up to the limits, and looks at what comes next.
    fn take_batches(&mut self) {
        let Some(feed) = &self.feed else { return };
        loop {
            if self.peeked.is_none() {
                self.peeked = match feed.batches.try_recv() {
                    Ok(batch) => Some(batch),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => {
                        self.stopping = true;
                        None
                    }
                };
            }
            let room =
                self.entries < EPOCH_ENTRIES_MAX && self.entries + self.in_flight < IN_FLIGHT_ENTRIES_MAX;
            let Some(batch) = self.peeked.take_if(|_| room) else { return };
            let partition = batch.partition as usize;
            if self.next.len() <= partition {
                self.next.resize(partition + 1, 0);
            }
            self.next[partition] = batch.next;
            // A batch of refused events only still moves the offset, which an epoch has to carry.
            self.entries += 1;
            for edit in batch.edits {
                self.entries += edit.weight();
                self.dataflow.feed(edit);
            }
        }
    }

    /// How long the open epoch should stay open.
    fn left(&self, index: usize, open: Duration) -> Duration {
        let loading = self.peeked.is_some() && !self.questions && self.entries < EPOCH_ENTRIES_MAX;
        let period = match (self.entries > 0 || self.questions, loading) {
            (true, true) => LOADING_GAP,
            (true, false) => self.gap,
            (false, _) if index == 0 => {
                self.dataflow.graph_wants(self.fed).unwrap_or(self.heartbeat).min(self.heartbeat)
            }
            (false, _) => NEVER,
        };
        period.saturating_sub(open)
    }

    /// The epochs through `epoch` are closed on all workers.
    fn close(&mut self, epoch: u64) {
        let entries = std::mem::take(&mut self.entries);
        if entries > 0 {
            self.fed = epoch;
        }
        self.in_flight += entries;
        self.questions = false;
        self.closed.push_back(Closed { epoch, entries });
        if self.feed.is_some() {
            self.board.fed(self.dataflow.open(), &self.next);
        }
        self.dataflow.advance((self.clock)().max(epoch + 1));
    }

    /// Hands out answers, and tells what is complete.
    fn report(&mut self) {
        while let Some((id, answer)) = self.dataflow.take_answer() {
            if let Some(reply) = self.replies.remove(&id) {
                reply(answer);
            }
        }
        let mut last = None;
        while self.closed.front().is_some_and(|closed| self.dataflow.is_complete(closed.epoch)) {
            last = self.closed.pop_front();
            self.in_flight -= last.as_ref().map_or(0, |closed| closed.entries);
        }
        let observer = &self.observer;
        if let Some(Closed { epoch, .. }) = last {
            self.shown = epoch;
            self.dataflow.show(epoch, |as_of, next| observer.complete(&Progress { as_of, next }));
        }
        self.dataflow.show_graph(self.shown, |step| observer.graph(step));
    }
}
