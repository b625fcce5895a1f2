//! A running segue: log, engine, dead letters, and the threads between them.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use segue_connectors::dead_letters::{DeadLetters, Origin, Refused};
use segue_connectors::embedded::{Embedded, OpenError, Options as LogOptions, SyncMode, folder_of};
use segue_connectors::kafka::Kafka;
use segue_connectors::kafka::dead_letters::DeadLetterTopic;
use segue_connectors::log::Log;
use segue_dataflow::event::Code;
use segue_dataflow::neighbours::{GraphStep, Stats};
use segue_dataflow::query::{Answer, Question};
use segue_dataflow::workers::{Answers, AskError, Engine, Observer, Options, Progress};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::breaker::Breaker;
use crate::clock::now_ms;
use crate::config::Config;
use crate::feed::Feed;
use crate::health::Health;
use crate::letterbox::Letterbox;
use crate::prequential::Prequential;
use crate::pump::Pumps;
use crate::push::{self, Inbox, Push};
use crate::snapshots::{self, Keeper, recovery};
use crate::{dead_letters, http, metrics, pump};

/// How old the newest epoch may become while nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(1);

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
    /// Answers questions.
    pub engine: Arc<Engine>,
    /// Tells what changes.
    pub feed: Arc<Feed>,
    /// The log's end when the server started: until answers are there, nothing is answered.
    caught_up_at: Vec<u64>,
    /// What has gone wrong.
    pub health: Arc<Health>,
    letterbox: Arc<Letterbox>,
    /// Turns of requests that write to the log.
    pub appends: Semaphore,
    /// Takes snapshots; none if none are wanted.
    pub keeper: Option<Keeper>,
    push: Option<Push>,
    pumps: Mutex<Option<JoinHandle<()>>>,
    /// How well additions are foreseen.
    pub prequential: Arc<Prequential>,
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
    /// The snapshots to go on from.
    #[error(transparent)]
    Snapshot(#[from] segue_connectors::snapshot::Error),
    /// The engine.
    #[error("the engine did not start: {0}")]
    Engine(String),
}

/// Hands what the engine says to whoever waits for it.
struct Watcher {
    progress: watch::Sender<Progress>,
    letterbox: Arc<Letterbox>,
    feed: Arc<Feed>,
    inbox: Option<Arc<Inbox>>,
}

impl Observer for Watcher {
    fn complete(&self, progress: &Progress) {
        self.progress.send_replace(progress.clone());
    }

    fn refused(&self, seq: u64, detail: String) {
        self.letterbox.taken(pump::position_of(seq), detail);
    }

    fn graph(&self, step: GraphStep) {
        metrics::graph_changed(step.rows.len());
        self.inbox.iter().for_each(|inbox| inbox.step(&step));
        self.feed.wake();
    }
}

/// A record refused now.
pub fn refused(
    code: Code,
    field: &str,
    detail: String,
    origin: Origin,
    key: Option<Bytes>,
    payload: Option<Bytes>,
) -> Refused {
    let field = Some(field.to_owned()).filter(|field| !field.is_empty());
    let at_ms = i64::try_from(now_ms()).unwrap_or(i64::MAX);
    Refused { code, field, detail, origin, at_ms, key, payload }
}

/// Whether answers are as far as these offsets, by partition.
pub fn reached(progress: &Progress, offsets: &[u64]) -> bool {
    let next = |partition: usize| progress.next.get(partition).copied().unwrap_or(0);
    progress.as_of > 0 && offsets.iter().enumerate().all(|(p, end)| next(p) >= *end)
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
        let (log, dead_letters): (Arc<dyn Log>, DeadLetters) = if config.kafka.brokers.is_empty() {
            let sync = if config.server.fsync { SyncMode::Fsync } else { SyncMode::Os };
            let options = LogOptions { sync, ..LogOptions::default() };
            let log = Embedded::open(&folder_of(folder), options)?.log;
            (Arc::new(log), DeadLetters::open(&dead_letters::folder_of(folder))?.0)
        } else {
            let log = Kafka::open(&config.kafka)?;
            let topic = DeadLetterTopic::open(&config.kafka)?;
            topic.create()?;
            topic.count()?;
            (Arc::new(log), DeadLetters::Topic(Box::new(topic)))
        };
        let dead_letters = Arc::new(dead_letters);
        let caught_up_at = (0..log.partitions()).map(|p| log.end(p)).collect::<Result<Vec<_>, _>>()?;

        let (sender, progress) = watch::channel(Progress::default());
        let health = Arc::new(Health::default());
        let no_thread = |source| StartError::Folder { path: folder.clone(), source };
        let letterbox = Arc::new(Letterbox::open(&dead_letters, &log, &health).map_err(no_thread)?);
        let feed = Feed::new(config.changes);
        let pushes = !config.redis.url.is_empty();
        let inbox = pushes.then(|| Arc::new(Inbox::new(config.redis.waiting)));
        let observer = Watcher {
            progress: sender,
            letterbox: Arc::clone(&letterbox),
            feed: Arc::clone(&feed),
            inbox: inbox.clone(),
        };
        let options = Options {
            workers: config.dataflow.workers,
            epoch_gap: Duration::from_millis(config.dataflow.epoch_gap_ms),
            heartbeat: HEARTBEAT,
            settings: config.settings(),
            answers: Answers::Readers(config.dataflow.readers),
        };
        let mut store = recovery::open(&config)?;
        let found = match &mut store {
            Some(store) => {
                store.claim()?;
                recovery::load(store, options.workers, &*log)?
            }
            None => None,
        };
        let (last, restored) = found.unzip();
        let engine = Engine::start(options, Arc::new(now_ms), Arc::new(observer), restored);
        let engine = Arc::new(engine.map_err(StartError::Engine)?);
        feed.start(&engine, &config).map_err(no_thread)?;
        let share = config.prequential.share;
        let prequential = Arc::new(Prequential::start(share, caught_up_at.clone()).map_err(no_thread)?);
        let pumps = Pumps {
            log: Arc::clone(&log),
            engine: Arc::clone(&engine),
            letterbox: Arc::clone(&letterbox),
            breaker: Arc::new(Breaker::new(config.limits.bad_share)),
            health: Arc::clone(&health),
            prequential: Arc::clone(&prequential),
            begin: last.as_ref().map(|last| last.next.clone()).unwrap_or_default().into(),
        };
        let pumps = Mutex::new(Some(pumps.start(0).map_err(no_thread)?));
        let settings = config.snapshots.clone();
        let keeper = store.map(|store| {
            let (engine, log, health) = (Arc::clone(&engine), Arc::clone(&log), Arc::clone(&health));
            let (letterbox, progress) = (Arc::clone(&letterbox), progress.clone());
            Keeper::start(snapshots::Parts {
                store,
                engine,
                log,
                letterbox,
                health,
                settings,
                progress,
                last,
            })
        });
        let keeper = keeper.transpose().map_err(no_thread)?;
        let push = inbox.map(|inbox| {
            Push::start(push::Parts {
                settings: config.redis.clone(),
                days: http::charts::days(&config),
                inbox,
                engine: Arc::clone(&engine),
                health: Arc::clone(&health),
                progress: progress.clone(),
                caught_up_at: caught_up_at.clone(),
                graph: config.neighbours.keep > 0,
            })
        });
        let push = push.transpose().map_err(no_thread)?;
        let appends = Semaphore::new(config.limits.appends);
        Ok(Arc::new(Service {
            config,
            log,
            dead_letters,
            progress,
            engine,
            feed,
            caught_up_at,
            health,
            letterbox,
            appends,
            keeper,
            push,
            pumps,
            prequential,
        }))
    }

    /// Whether answers include all that was on the log at the start.
    pub fn is_caught_up(&self) -> bool {
        reached(&self.progress.borrow(), &self.caught_up_at)
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

    /// What the graph has done, and how far it is; none if there is none.
    pub fn graph(&self) -> Option<(Arc<Stats>, u64)> {
        (self.config.neighbours.keep > 0).then(|| self.engine.graph())
    }

    /// By partition, the log's end and the first offset that answers do not include.
    pub fn offsets(&self) -> Vec<(u64, u64)> {
        let progress = self.progress.borrow().clone();
        let ends = self.log.recent_ends().into_iter().enumerate();
        ends.map(|(p, end)| (end, progress.next.get(p).copied().unwrap_or(0))).collect()
    }

    /// Tells the log's dashboards how far answers are, unless that is what they were `told` last.
    pub fn commit(&self, told: &mut Vec<u64>) {
        let next = self.progress.borrow().next.clone();
        if next != *told {
            self.log.commit(&next);
            *told = next;
        }
    }

    /// Stops everything, in the order of the flow. What is acknowledged is on the log.
    ///
    /// # Errors
    /// What a worker said in its panic.
    pub fn stop(&self) -> Result<(), String> {
        self.health.stopping();
        self.letterbox.hurry();
        self.feed.close();
        self.commit(&mut Vec::new());
        self.push.iter().for_each(Push::close);
        self.keeper.iter().for_each(Keeper::close);
        self.log.close();
        let result = self.engine.stop();
        self.feed.join();
        let pumps = std::mem::take(&mut *self.pumps.lock());
        drop(pumps.map(JoinHandle::join));
        self.prequential.close();
        self.letterbox.close();
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// What `GET /v1/state` says: status, code, and whether it says when to come again.
    async fn state(url: &str) -> (u16, String, bool) {
        let url = url.to_owned();
        let asked = tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut reply = agent.get(url).call().expect("an answer");
            let body = reply.body_mut().read_to_string().expect("text");
            let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            let code = body["code"].as_str().unwrap_or_default().to_owned();
            (reply.status().as_u16(), code, reply.headers().contains_key("retry-after"))
        });
        asked.await.expect("no panic")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_question_too_many_is_told_to_come_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.server.data_dir = folder.path().to_owned();
        config.dataflow.readers = 1;
        let service = tokio::task::spawn_blocking(move || Service::start(config));
        let service = service.await.expect("no panic").expect("it starts");
        service.progress.clone().wait_for(|progress| progress.as_of > 0).await.expect("it runs");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1/state", listener.local_addr().expect("an address"));
        let server = warp::serve(crate::http::routes(Arc::clone(&service))).incoming(listener).run();
        let server = tokio::spawn(server);
        assert_eq!(state(&url).await, (200, String::new(), false));

        // The only reader is held up by whoever takes an answer; questions come up to the bound.
        let ((came, comes), (release, released)) = (sync_channel(1), sync_channel::<()>(0));
        let hold = move |_| {
            came.send(()).expect("the test waits");
            let _ = released.recv();
        };
        service.engine.ask(Question::State, Box::new(hold)).expect("not busy");
        tokio::task::spawn_blocking(move || comes.recv()).await.expect("no panic").expect("held");
        let full = (0..100_000).find_map(|_| service.engine.ask(Question::State, Box::new(|_| {})).err());
        assert_eq!(full, Some(AskError::Busy));
        assert_eq!(state(&url).await, (503, "busy".to_owned(), true));
        drop(release);
        let again = async { while state(&url).await.0 != 200 {} };
        tokio::time::timeout(Duration::from_secs(60), again).await.expect("it answers again");
        server.abort();
        let stopped = tokio::task::spawn_blocking(move || service.stop()).await.expect("no panic");
        stopped.expect("no worker panics");
    }
}
