//! A running segue: log, engine, dead letters, and the threads between them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use segue_connectors::dead_letters::{DeadLetter, DeadLetters, Raw};
use segue_connectors::embedded::{Embedded, OpenError, Options as LogOptions, folder_of};
use segue_connectors::kafka::Kafka;
use segue_connectors::log::Log;
use segue_dataflow::event::Code;
use segue_dataflow::query::{Answer, Question};
use segue_dataflow::settings::Settings;
use segue_dataflow::workers::{AskError, Engine, Observer, Options, Progress};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::clock::now_ms;
use crate::config::Config;
use crate::{metrics, pump};

/// Everything that runs, shared by whoever serves it.
pub struct Service {
    /// What it runs with.
    pub config: Config,
    /// The source of truth.
    pub log: Arc<dyn Log>,
    /// What was refused.
    pub dead_letters: Arc<DeadLetters>,
    /// How far the answers are.
    pub progress: watch::Receiver<Progress>,
    engine: Arc<Engine>,
    /// The log's end when the server started: until answers are there, nothing is answered.
    caught_up_at: Vec<u64>,
    failure: Arc<Failure>,
    degraded: Mutex<Option<String>>,
    /// Turns of requests that write to the log.
    pub appends: Semaphore,
    pumps: Mutex<Option<JoinHandle<()>>>,
}

/// Why the server cannot start: the operator mends it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error("data folder {path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The log or the dead letters in it.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The log on Kafka.
    #[error(transparent)]
    Kafka(#[from] segue_connectors::kafka::OpenError),
    /// A log that is open cannot be read.
    #[error(transparent)]
    Read(#[from] segue_connectors::log::Error),
    /// The engine.
    #[error("the engine did not start: {0}")]
    Engine(String),
}

/// The first thing that went wrong for good: readiness tells it, and the process ends.
#[derive(Default)]
pub struct Failure {
    reason: Mutex<Option<String>>,
    stopping: AtomicBool,
    news: tokio::sync::Notify,
}

impl Failure {
    /// Remembers the first reason and wakes whoever waits for one.
    pub fn tell(&self, reason: String) {
        if self.stopping.load(Ordering::SeqCst) {
            return;
        }
        tracing::error!("{reason}");
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.news.notify_waiters();
    }

    /// The reason, if there is one.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Hands what the engine says to whoever waits for it.
struct Watcher {
    progress: watch::Sender<Progress>,
    dead_letters: Arc<DeadLetters>,
}

impl Observer for Watcher {
    fn complete(&self, progress: &Progress) {
        self.progress.send_replace(progress.clone());
    }

    fn refused(&self, seq: u64, detail: String) {
        metrics::rejected("id_taken");
        let letter = letter(Code::IdTaken, "", detail, ("log", seq.to_string()), b"");
        // As rare as two strings with one 64-bit hash, so its fsync may hold this worker up.
        if let Err(error) = self.dead_letters.push(&[letter]) {
            tracing::error!("event at {seq} names a taken id and could not be dead-lettered: {error}");
        }
    }
}

/// A dead letter of now. `from` is its source and position.
pub fn letter(code: Code, field: &str, detail: String, from: (&str, String), raw: &[u8]) -> DeadLetter {
    DeadLetter {
        code,
        field: Some(field.to_owned()).filter(|field| !field.is_empty()),
        detail,
        source: from.0.to_owned(),
        position: from.1,
        at_ms: i64::try_from(now_ms()).unwrap_or(i64::MAX),
        raw: Raw::of(raw),
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many ask: try again.
    #[error("too many questions are waiting for an answer")]
    Busy,
    /// The server is on its way down.
    #[error("the server is stopping")]
    Stopping,
    /// It took too long.
    #[error("the answer took too long")]
    TimedOut,
}

impl Service {
    /// Opens the data folder and starts everything.
    ///
    /// # Errors
    /// Says which folder or part is in the way.
    pub fn start(config: Config) -> Result<Arc<Self>, StartError> {
        let folder = &config.server.data_dir;
        std::fs::create_dir_all(folder)
            .map_err(|source| StartError::Folder { path: folder.clone(), source })?;
        let log: Arc<dyn Log> = if config.kafka.brokers.is_empty() {
            Arc::new(Embedded::open(&folder_of(folder), LogOptions::default())?.log)
        } else {
            Arc::new(Kafka::open(&config.kafka)?)
        };
        let (dead_letters, _torn) = DeadLetters::open(&folder.join("dead_letters"))?;
        let dead_letters = Arc::new(dead_letters);
        let caught_up_at = (0..log.partitions()).map(|p| log.end(p)).collect::<Result<Vec<_>, _>>()?;

        let (sender, progress) = watch::channel(Progress::default());
        let observer = Arc::new(Watcher { progress: sender, dead_letters: Arc::clone(&dead_letters) });
        let options = Options {
            workers: config.dataflow.workers,
            epoch_gap: Duration::from_millis(config.dataflow.epoch_gap_ms),
            settings: Settings { recommend: config.recommend, neighbours: config.neighbours },
        };
        let engine =
            Arc::new(Engine::start(options, Arc::new(now_ms), observer).map_err(StartError::Engine)?);
        let failure = Arc::new(Failure::default());
        let pumps = pump::start(0, &log, &engine, &dead_letters, &failure)
            .map_err(|source| StartError::Folder { path: folder.clone(), source })?;
        let (pumps, appends) = (Mutex::new(Some(pumps)), Semaphore::new(config.limits.appends));
        Ok(Arc::new(Service {
            config,
            log,
            dead_letters,
            progress,
            engine,
            caught_up_at,
            failure,
            degraded: Mutex::new(None),
            appends,
            pumps,
        }))
    }

    /// Whether answers include all that was on the log at the start.
    pub fn is_caught_up(&self) -> bool {
        let progress = self.progress.borrow();
        let next = |partition: usize| progress.next.get(partition).copied().unwrap_or(0);
        progress.as_of > 0 && self.caught_up_at.iter().enumerate().all(|(p, end)| next(p) >= *end)
    }

    /// What has gone wrong for good, if anything.
    pub fn failure(&self) -> Option<String> {
        self.failure.reason()
    }

    /// The log takes no more events: questions are still answered, readiness tells the reason.
    pub fn degrade(&self, reason: String) {
        tracing::error!("no more events are taken: {reason}");
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }

    /// Why no more events are taken, if so.
    pub fn degraded(&self) -> Option<String> {
        self.degraded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something has gone wrong for good.
    pub async fn failed(&self) -> String {
        loop {
            let news = self.failure.news.notified();
            if let Some(reason) = self.failure.reason() {
                return reason;
            }
            news.await;
        }
    }

    /// Asks as-of the present.
    ///
    /// # Errors
    /// If there is none in time.
    pub async fn ask(&self, question: Question) -> Result<Answer, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may have gone: then the answer is not wanted any more.
        let reply = Box::new(move |answer| drop(reply.send(answer)));
        self.engine.ask(question, reply).map_err(|error| match error {
            AskError::Busy => NoAnswer::Busy,
            AskError::Stopped => NoAnswer::Stopping,
        })?;
        match tokio::time::timeout(Duration::from_millis(self.config.limits.answer_ms), answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(NoAnswer::Stopping),
            Err(_) => Err(NoAnswer::TimedOut),
        }
    }

    /// By partition, the log's end and the first offset that answers do not include.
    pub fn offsets(&self) -> Vec<(u64, u64)> {
        let progress = self.progress.borrow().clone();
        let ends = self.log.recent_ends().into_iter().enumerate();
        ends.map(|(p, end)| (end, progress.next.get(p).copied().unwrap_or(0))).collect()
    }

    /// Stops everything, in the order of the flow. What is acknowledged is on the log.
    ///
    /// # Errors
    /// What a worker said in its panic.
    pub fn stop(&self) -> Result<(), String> {
        self.failure.stopping.store(true, Ordering::SeqCst);
        self.log.close();
        let result = self.engine.stop();
        let pumps = std::mem::take(&mut *self.pumps.lock().unwrap_or_else(PoisonError::into_inner));
        drop(pumps.map(JoinHandle::join));
        result
    }
}
