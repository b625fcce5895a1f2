//! The worker threads: commands in from any thread, epochs closed, answers out.
//!
//! *Who closes an epoch*: whoever has something in it, by a broadcast "close e" in a dataflow of its own,
//! which wakes parked workers; all who hear it advance. At most one epoch per gap, one a second when
//! nothing happens. Events enter at worker 0, in log order, and are exchanged from there: so what is
//! complete is a prefix of every partition of the log.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use rustc_hash::FxHashMap;
use timely::communication::WorkerGuards;
use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::core::Inspect;
use timely::dataflow::operators::vec::Broadcast;
use timely::worker::Worker;

use crate::edit::Edit;
use crate::engine::{Dataflow, Refused};
use crate::query::{Answer, Board, Query, Question};
use crate::settings::Settings;
use crate::snapshot::{Restored, Snapshot};
use crate::views::batch::merge_when_idle;

/// Entries that one epoch takes at the most while the log is far ahead.
const EPOCH_ENTRIES_MAX: usize = 200_000;
/// Entries that may be on their way into the views before no more are taken.
const IN_FLIGHT_ENTRIES_MAX: usize = 2 * EPOCH_ENTRIES_MAX;
/// How long an epoch stays open at the most while the log is far ahead.
const LOADING_GAP: Duration = Duration::from_millis(50);
/// How often an epoch is closed when nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Batches of edits that wait for the workers at the most; whoever feeds more is held up.
const BATCHES_MAX: usize = 16;
/// Questions that wait for one worker at the most; one more is refused.
const QUESTIONS_MAX: usize = 1024;

/// How the workers run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Worker threads.
    pub workers: usize,
    /// An epoch lasts so long at least, if something is in it.
    pub epoch_gap: Duration,
    /// The knobs of the engine.
    pub settings: Settings,
    /// Who answers questions.
    pub answers: Answers,
}

/// Who answers questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// So many threads that read what the workers show, as-of the newest epoch complete on all of them.
    /// Possible while all workers are in this process.
    Readers(usize),
    /// The workers, as records in the dataflow, as-of an epoch that closes after the question.
    Workers,
}

/// The current time in milliseconds since the Unix epoch. It may jump: epochs never go back.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Told what happens, on a worker's thread: it must return at once.
pub trait Observer: Send + Sync {
    /// Everything through `progress` is in the answers of all workers from now on.
    fn complete(&self, progress: &Progress);
    /// The event at this position of the log names an id that another string has.
    fn refused(&self, seq: u64, detail: String);
}

/// How far the answers are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The newest epoch complete on every worker.
    pub as_of: u64,
    /// By partition of the log, the offset of the first event that is not included.
    pub next: Vec<u64>,
}

/// Edits that follow one another on one partition of the log.
#[derive(Debug, Default)]
pub struct Batch {
    /// The edits; events that were refused are left out.
    pub edits: Vec<Edit>,
    /// The partition.
    pub partition: u32,
    /// The offset after the last event read for this batch, refused ones included.
    pub next: u64,
}

/// Takes an answer, on a worker's thread: it must return at once.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// Why a question was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Too many are waiting: try again later.
    #[error("too many questions are waiting for an answer")]
    Busy,
    /// The workers have ended.
    #[error("the engine has stopped")]
    Stopped,
}

/// The workers have ended: nothing can be fed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct Stopped;

/// The running engine.
pub struct Engine {
    batches: SyncSender<Batch>,
    mailboxes: Vec<Mailbox>,
    turn: AtomicUsize,
    guards: Mutex<Option<WorkerGuards<()>>>,
    board: Arc<Board>,
    readers: Option<Readers>,
}

/// Threads that answer questions from the board.
struct Readers {
    /// Taken to end the threads.
    questions: Mutex<Option<Sender<(Question, Reply)>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    fn start(number: usize, board: &Arc<Board>) -> std::io::Result<Self> {
        let (questions, asked) = bounded::<(Question, Reply)>(QUESTIONS_MAX);
        let threads = (0..number.max(1)).map(|n| {
            let (board, asked) = (Arc::clone(board), asked.clone());
            std::thread::Builder::new().name(format!("reader-{n}")).spawn(move || {
                for (question, reply) in asked {
                    if let Some(answer) = board.answer(question) {
                        reply(answer);
                    }
                }
            })
        });
        let threads = Mutex::new(threads.collect::<Result<_, _>>()?);
        Ok(Readers { questions: Mutex::new(Some(questions)), threads })
    }

    fn ask(&self, question: Question, reply: Reply) -> Result<(), AskError> {
        let questions = lock(&self.questions).clone().ok_or(AskError::Stopped)?;
        questions.try_send((question, reply)).map_err(|error| match error {
            crossbeam_channel::TrySendError::Full(_) => AskError::Busy,
            crossbeam_channel::TrySendError::Disconnected(_) => AskError::Stopped,
        })
    }

    fn stop(&self) {
        drop(lock(&self.questions).take());
        lock(&self.threads).drain(..).for_each(|reader| drop(reader.join()));
    }
}

/// The way to one worker. The token of `unpark` is kept, so what is sent between a worker's look and its
/// parking is not lost.
struct Mailbox {
    questions: SyncSender<Command>,
    thread: Thread,
}

enum Command {
    Ask(Question, Reply),
    Stop,
}

impl Engine {
    /// Starts the workers on threads of their own. They go on from `restored`, made for as many.
    ///
    /// # Errors
    /// What timely says if its threads cannot be started.
    pub fn start(
        options: Options,
        clock: Clock,
        observer: Arc<dyn Observer>,
        restored: Option<Restored>,
    ) -> Result<Engine, String> {
        let workers = options.workers.max(1);
        let (batches, feed) = sync_channel(BATCHES_MAX);
        let (post, mailboxes) = sync_channel(workers);
        let (feed, post) = (Mutex::new(Some(feed)), Mutex::new(post));
        let board = Arc::new(Board::new(workers, options.settings));
        restored.into_iter().for_each(|restored| board.restore(restored));
        let shown = Arc::clone(&board);
        let mut config = timely::Config::process(workers);
        merge_when_idle(&mut config.worker);
        let guards = timely::execute(config, move |worker| {
            let (questions, commands) = sync_channel(QUESTIONS_MAX);
            let feed = if worker.index() == 0 { lock(&feed).take() } else { None };
            let mailbox = (worker.index(), Mailbox { questions, thread: std::thread::current() });
            // It has room for all workers; nobody listens only if the start has failed.
            let _ = lock(&post).send(mailbox);
            let refused: Refused = {
                let observer = Arc::clone(&observer);
                Rc::new(move |seq, detail| observer.refused(seq, detail))
            };
            let dataflow = Dataflow::new(worker, workers, options.settings, &refused, &shown);
            let outside = (Arc::clone(&clock), Arc::clone(&observer), Arc::clone(&shown));
            Loop::new(worker, dataflow, options.epoch_gap, outside, feed, commands).run(worker);
        })?;
        let mut all: Vec<(usize, Mailbox)> = mailboxes.iter().take(workers).collect();
        all.sort_by_key(|(index, _)| *index);
        let mailboxes = all.into_iter().map(|(_, mailbox)| mailbox).collect();
        let readers = match options.answers {
            Answers::Readers(number) => Some(Readers::start(number, &board).map_err(|e| e.to_string())?),
            Answers::Workers => None,
        };
        let (turn, guards) = (AtomicUsize::new(0), Mutex::new(Some(guards)));
        Ok(Engine { batches, mailboxes, turn, guards, board, readers })
    }

    /// Feeds edits, in log order by partition. Blocks while the workers have enough to do.
    ///
    /// # Errors
    /// If the workers have ended.
    pub fn feed(&self, batch: Batch) -> Result<(), Stopped> {
        self.batches.send(batch).map_err(|_| Stopped)?;
        self.mailboxes.iter().take(1).for_each(|mailbox| mailbox.thread.unpark());
        Ok(())
    }

    /// Asks a question as-of the present; `reply` is called once, or dropped if the engine stops before.
    ///
    /// # Errors
    /// If too many questions are waiting, or the workers have ended.
    pub fn ask(&self, question: Question, reply: Reply) -> Result<(), AskError> {
        if let Some(readers) = &self.readers {
            return readers.ask(question, reply);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mailbox = self.mailboxes.get(turn % self.mailboxes.len().max(1)).ok_or(AskError::Stopped)?;
        mailbox.questions.try_send(Command::Ask(question, reply)).map_err(|error| match error {
            TrySendError::Full(_) => AskError::Busy,
            TrySendError::Disconnected(_) => AskError::Stopped,
        })?;
        mailbox.thread.unpark();
        Ok(())
    }

    /// A copy of the state as-of the present: all of it with `whole`, or if too much has changed since the
    /// last one that was [kept](Snapshot::keep). None once the engine has stopped.
    pub fn snapshot(&self, whole: bool) -> Option<Snapshot<'_>> {
        Some(Snapshot::new(self.board.lease()?, whole))
    }

    /// Ends the workers and waits for them. Batches not yet taken and questions not yet answered are dropped:
    /// the log has the ones, and whoever asked sees the reply go. A second call does nothing.
    ///
    /// # Errors
    /// What a worker said in its panic.
    pub fn stop(&self) -> Result<(), String> {
        let Some(guards) = lock(&self.guards).take() else { return Ok(()) };
        self.board.close();
        self.readers.iter().for_each(Readers::stop);
        for mailbox in self.mailboxes.iter().take(1) {
            // It fails only if the worker has ended already.
            let _ = mailbox.questions.send(Command::Stop);
            mailbox.thread.unpark();
        }
        guards.join().into_iter().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an epoch that is closed but not complete has taken in.
struct Closed {
    epoch: u64,
    entries: usize,
}

/// One worker's loop.
struct Loop {
    dataflow: Dataflow,
    board: Arc<Board>,
    gap: Duration,
    clock: Clock,
    observer: Arc<dyn Observer>,
    feed: Option<Receiver<Batch>>,
    peeked: Option<Batch>,
    commands: Receiver<Command>,
    replies: FxHashMap<u64, Reply>,
    asked: u64,
    /// Offsets by partition that the open epoch leads to, and the entries in it.
    next: Vec<u64>,
    entries: usize,
    questions: bool,
    closed: VecDeque<Closed>,
    in_flight: usize,
    /// "Close e", and the newest such that was heard: (time of the message, e). All move the input on to
    /// what they heard: an input left behind would keep every message's accounts open for ever.
    closes: InputHandleVec<u64, (u64, u64)>,
    heard: Rc<Cell<(u64, u64)>>,
    stopping: bool,
}

impl Loop {
    fn new(
        worker: &mut Worker,
        mut dataflow: Dataflow,
        gap: Duration,
        (clock, observer, board): (Clock, Arc<dyn Observer>, Arc<Board>),
        feed: Option<Receiver<Batch>>,
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
            in_flight: 0,
            closes,
            heard,
            stopping: false,
        }
    }

    fn run(mut self, worker: &mut Worker) {
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
            // With the request on its way there is nothing to time: what is heard unparks.
            let wait = if close > 0 { Duration::ZERO } else { left.max(Duration::from_micros(50)) };
            worker.step_or_park(Some(wait));
            let (sent, goal) = self.heard.get();
            if *self.closes.time() <= sent {
                self.closes.advance_to(sent + 1);
            }
            if goal >= self.dataflow.open() && goal != u64::MAX {
                self.close(goal);
                since = Instant::now();
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
                    self.replies.insert(self.asked, reply);
                    self.dataflow.ask(Query { id: self.asked, question });
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
                self.peeked = match feed.try_recv() {
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
            (false, _) if index == 0 => HEARTBEAT,
            (false, _) => 60 * HEARTBEAT,
        };
        period.saturating_sub(open)
    }

    /// The epochs through `epoch` are closed on all workers.
    fn close(&mut self, epoch: u64) {
        let entries = std::mem::take(&mut self.entries);
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
        if let Some(Closed { epoch, .. }) = last {
            let observer = &self.observer;
            self.dataflow.show(epoch, |as_of, next| observer.complete(&Progress { as_of, next }));
        }
    }
}
