//! The worker threads: commands in from any thread, epochs closed, answers out.

mod readers;
mod turns;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;
use timely::communication::WorkerGuards;

use crate::edit::Edit;
use crate::engine::{Dataflow, Refused};
use crate::neighbours::{GraphStep, Stats};
use crate::priority::{self, stand_back};
use crate::query::{Answer, Board, GraphLease, Lease, Pin, Question};
use crate::settings::Settings;
use crate::snapshot::{Restored, Snapshot};
use crate::views::batch::merge_when_idle;
use readers::Readers;
use turns::{Feed, Loop};

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
    /// An epoch lasts so long at most, if nothing is in it.
    pub heartbeat: Duration,
    /// The knobs of the engine.
    pub settings: Settings,
    /// Who answers questions.
    pub answers: Answers,
}

/// The processes that make one engine together, each with as many workers. Edits enter at process 0, and questions are
/// answered there.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Which of them this one is, from 0.
    pub process: usize,
    /// Host and port where each of them listens for the others.
    pub addresses: Vec<String>,
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
    /// The graph's rows in the answers of this process are exact as-of the step's epoch from now on.
    fn graph(&self, _step: GraphStep) {}
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
    batches: Sender<Batch>,
    /// Whether worker 0 sleeps until it is woken; else it looks at the batches by itself when its epoch is due.
    asleep: Arc<AtomicBool>,
    mailboxes: Vec<Mailbox>,
    turn: AtomicUsize,
    guards: Mutex<Option<WorkerGuards<()>>>,
    board: Arc<Board>,
    readers: Option<Readers>,
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
        let config = timely::Config::process(options.workers.max(1));
        Self::launch(config, options, clock, observer, restored)
    }

    /// Starts the workers of one process of a cluster; waits for the other processes. They go on from `restored`, made
    /// for the workers of all.
    ///
    /// # Errors
    /// What timely says if the processes cannot be connected; if readers are to answer, who see only what the workers
    /// of their own process have.
    pub fn join(
        cluster: Cluster,
        options: Options,
        clock: Clock,
        observer: Arc<dyn Observer>,
        restored: Option<Restored>,
    ) -> Result<Engine, String> {
        if options.answers != Answers::Workers && cluster.addresses.len() > 1 {
            return Err("over several processes the workers have to answer".to_owned());
        }
        let Cluster { process, addresses } = cluster;
        let (threads, report, zerocopy) = (options.workers.max(1), false, false);
        let communication =
            timely::CommunicationConfig::Cluster { threads, process, addresses, report, zerocopy };
        let config = timely::Config { communication, worker: timely::WorkerConfig::default() };
        Self::launch(config, options, clock, observer, restored)
    }

    fn launch(
        mut config: timely::Config,
        options: Options,
        clock: Clock,
        observer: Arc<dyn Observer>,
        restored: Option<Restored>,
    ) -> Result<Engine, String> {
        let workers = options.workers.max(1);
        let (batches, feed) = bounded(BATCHES_MAX);
        let asleep = Arc::new(AtomicBool::new(true));
        let (post, mailboxes) = sync_channel(workers);
        let (feed, post) = (Mutex::new(Some(feed)), Mutex::new(post));
        let board = Arc::new(Board::new(workers, options.settings));
        restored.into_iter().for_each(|restored| board.restore(restored));
        let (shown, wakes) = (Arc::clone(&board), Arc::clone(&asleep));
        merge_when_idle(&mut config.worker);
        let guards = timely::execute(config, move |worker| {
            let (questions, commands) = sync_channel(QUESTIONS_MAX);
            let feed = if worker.index() == 0 { feed.lock().take() } else { None };
            let feed = feed.map(|batches| Feed { batches, asleep: Arc::clone(&wakes) });
            let mailbox = (worker.index(), Mailbox { questions, thread: std::thread::current() });
            // It has room for all workers; nobody listens only if the start has failed.
            let _ = post.lock().send(mailbox);
            let refused: Refused = {
                let observer = Arc::clone(&observer);
                Rc::new(move |seq, detail| observer.refused(seq, detail))
            };
            let asked = options.answers == Answers::Workers;
            if !asked {
                stand_back(priority::WORK);
            }
            let dataflow = Dataflow::new(worker, workers, options.settings, &refused, &shown, asked);
            let outside = (Arc::clone(&clock), Arc::clone(&observer), Arc::clone(&shown));
            Loop::new(worker, dataflow, (options.epoch_gap, options.heartbeat), outside, feed, commands)
                .run(worker);
        })?;
        let mut all: Vec<(usize, Mailbox)> = mailboxes.iter().take(workers).collect();
        all.sort_by_key(|(index, _)| *index);
        let mailboxes = all.into_iter().map(|(_, mailbox)| mailbox).collect();
        let readers = match options.answers {
            Answers::Readers(number) => Some(Readers::start(number, &board).map_err(|e| e.to_string())?),
            Answers::Workers => None,
        };
        let (turn, guards) = (AtomicUsize::new(0), Mutex::new(Some(guards)));
        Ok(Engine { batches, asleep, mailboxes, turn, guards, board, readers })
    }

    /// Feeds edits, in log order by partition. Blocks while the workers have enough to do.
    ///
    /// # Errors
    /// If the workers have ended.
    pub fn feed(&self, batch: Batch) -> Result<(), Stopped> {
        self.batches.send(batch).map_err(|_| Stopped)?;
        if self.asleep.load(Ordering::SeqCst) || self.batches.len() >= BATCHES_MAX / 2 {
            self.mailboxes.iter().take(1).for_each(|mailbox| mailbox.thread.unpark());
        }
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

    /// Waits until answers include what comes before the offset `next` of a partition; false once the engine has
    /// stopped.
    pub fn wait(&self, partition: usize, next: u64) -> bool {
        self.board.wait(partition, next)
    }

    /// The present, to be looked at later. None before the first epoch, and once the engine has stopped. What is fed
    /// after this call is not in it.
    pub fn pin(&self) -> Option<Pin> {
        self.board.pin()
    }

    /// The present, to be read on the calling thread; waits for the first epoch. None once the engine has stopped.
    /// As long as it lives, nothing that it can read is forgotten.
    pub fn lease(&self) -> Option<Lease> {
        self.board.lease()
    }

    /// The graph as-of its newest step, to be read on the calling thread. None once the engine has stopped. As long as
    /// it lives, nothing that it can read is forgotten, and nothing else is held back.
    pub fn graph_lease(&self) -> Option<GraphLease> {
        self.lease().map(Lease::into_graph)
    }

    /// What the graph has done, and the epoch as-of which its rows are exact; 0 before the first step.
    pub fn graph(&self) -> (Arc<Stats>, u64) {
        (Arc::clone(&self.board.graph), self.board.graph_epoch())
    }

    /// A copy of the state: all of it with `whole`, or if too much has changed since the last one that was
    /// [kept](Snapshot::keep). It has the graph's rows if within so long a step ends that has all that is there now; it
    /// is as-of that step then. Else it is as-of the present. None once the engine has stopped.
    pub fn snapshot(&self, whole: bool, patience: Duration) -> Option<Snapshot> {
        Some(Snapshot::new(self.board.lease_with_graph(patience)?, whole))
    }

    /// Ends the workers and waits for them. Batches not yet taken and questions not yet answered are dropped:
    /// the log has the ones, and whoever asked sees the reply go. A second call does nothing.
    ///
    /// # Errors
    /// What a worker said in its panic.
    pub fn stop(&self) -> Result<(), String> {
        let Some(guards) = self.guards.lock().take() else { return Ok(()) };
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
