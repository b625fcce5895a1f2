//! Snapshots: what the server goes on from at its start ([`recovery`]), and the thread that takes them while it
//! serves: on a schedule, by size of change, at the end and when asked ([`commands`]).

pub mod commands;
pub mod recovery;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use segue_connectors::log::Log;
use segue_connectors::snapshot::{Error, Manifest, Store};
use segue_dataflow::priority::{self, stand_back};
use segue_dataflow::workers::{Engine, Progress};
use tokio::sync::{oneshot, watch};

use crate::config::Snapshots as Settings;
use crate::health::Health;
use crate::letterbox::{Letterbox, Unwritten};
use crate::metrics;

/// How often to look whether much has changed.
const TICK: Duration = Duration::from_millis(200);
/// How long one waits for the graph, so that it has its rows and the next start need not count them.
const GRAPH: Duration = Duration::from_secs(2);
/// How long to wait after one that failed, at the most.
const RETRY: Duration = Duration::from_secs(10);
/// Requests for one that may wait.
const REQUESTS_MAX: usize = 16;

/// Takes snapshots.
pub struct Keeper {
    /// Where they are.
    pub store: Store,
    /// None once closed.
    requests: Mutex<Option<SyncSender<Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Somebody wants one now.
struct Request {
    reply: oneshot::Sender<Result<Manifest, String>>,
}

/// What the thread has.
pub struct Parts {
    /// Where to.
    pub store: Store,
    /// What of.
    pub engine: Arc<Engine>,
    /// What leads on from them.
    pub log: Arc<dyn Log>,
    /// What has to be written before them.
    pub letterbox: Arc<Letterbox>,
    /// Who is told what is the matter.
    pub health: Arc<Health>,
    /// When.
    pub settings: Settings,
    /// How far answers are.
    pub progress: watch::Receiver<Progress>,
    /// The newest: the one that the server went on from, until it has taken one itself.
    pub last: Option<Manifest>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Unwritten(#[from] Unwritten),
    #[error("no thread to write it on: {0}")]
    Thread(#[from] std::io::Error),
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let (store, (requests, asked)) = (parts.store.clone(), sync_channel(REQUESTS_MAX));
        let thread = Builder::new().name("snapshots".into()).spawn(move || {
            let due = Instant::now() + parts.settings.every.0;
            Taking { parts, due, failed: false }.run(&asked);
        })?;
        Ok(Keeper { store, requests: Mutex::new(Some(requests)), thread: Mutex::new(Some(thread)) })
    }

    /// Takes one now; if nothing is new, tells the last one.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn take(&self) -> Result<Manifest, String> {
        let requests = self.requests.lock().clone();
        let (reply, taken) = oneshot::channel();
        requests.ok_or_else(stopping)?.try_send(Request { reply }).map_err(|_| stopping())?;
        taken.await.map_err(|_| stopping())?
    }

    /// Takes a last one, if that is wanted, and ends.
    pub fn close(&self) {
        self.requests.lock().take();
        let thread = self.thread.lock().take();
        thread.into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn stopping() -> String {
    "the server is stopping, or too many wait for a snapshot already".to_owned()
}

/// Does something on a thread of its own that gets the processor after those who answer questions: it takes
/// seconds, and is in no hurry.
fn behind<T: Send>(what: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let writing = Builder::new().name("snapshot-writer".into()).spawn_scoped(scope, || {
            stand_back(priority::COPIES);
            what()
        })?;
        Ok(writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

struct Taking {
    parts: Parts,
    /// When the next is due.
    due: Instant,
    failed: bool,
}

impl Taking {
    fn run(&mut self, asked: &Receiver<Request>) {
        loop {
            let wait = self.due.saturating_duration_since(Instant::now()).min(TICK);
            match asked.recv_timeout(wait) {
                Ok(Request { reply }) => {
                    // Whoever asked may have gone.
                    let taken = self.take(GRAPH).map_err(|error| error.to_string());
                    let _ = reply.send(taken.and_then(|taken| taken.ok_or_else(stopping)));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= self.due || self.is_much() => {
                    // The rows are much, and changes in between are not: they go along if they are there just now.
                    drop(self.take(Duration::ZERO));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if self.parts.settings.at_end {
                        drop(self.take(GRAPH));
                    }
                    return;
                }
            }
        }
    }

    /// Whether so much has changed that it cannot wait. After a failure it can.
    fn is_much(&self) -> bool {
        let sum = |next: &[u64]| next.iter().sum::<u64>();
        let last = self.parts.last.as_ref().map_or(0, |last| sum(&last.next));
        !self.failed && sum(&self.parts.progress.borrow().next) >= last + self.parts.settings.every_events
    }

    /// Waits so long for the graph if it is not a whole one. None once the engine has stopped.
    fn take(&mut self, patience: Duration) -> Result<Option<Manifest>, NotTaken> {
        let (began, before) = (Instant::now(), self.parts.last.as_ref().map(|last| last.epoch));
        let taken = self.write(patience);
        self.failed = taken.is_err();
        let every = self.parts.settings.every.0;
        self.due = Instant::now() + if self.failed { every.min(RETRY) } else { every };
        match &taken {
            Ok(None) => {}
            Ok(Some(manifest)) => {
                if before != Some(manifest.epoch) {
                    metrics::snapshot_taken(began.elapsed(), manifest.epoch, manifest.bytes());
                }
                self.parts.health.set_snapshots(None);
            }
            Err(error) => {
                metrics::snapshot_failed();
                tracing::warn!("no snapshot: {error}");
                self.parts.health.set_snapshots(Some(error.to_string()));
                if let NotTaken::Store(Error::Fenced { .. }) = error {
                    self.parts.health.fail(error.to_string());
                }
            }
        }
        taken
    }

    /// None once the engine has stopped.
    fn write(&mut self, patience: Duration) -> Result<Option<Manifest>, NotTaken> {
        let Parts { store, engine, log, letterbox, settings, last, progress, .. } = &mut self.parts;
        let same = last.as_ref().filter(|last| last.next == progress.borrow().next);
        // It may be that all it lacks is the graph.
        let lacks_graph = |same: &Manifest| same.graph.is_none() && engine.graph().1 > same.epoch;
        if let Some(same) = same.filter(|same| !lacks_graph(same) || progress.borrow().as_of <= same.epoch) {
            store.check_generation()?;
            return Ok(Some(same.clone()));
        }
        // Changes are known since one that this process took.
        let base = last.as_ref().filter(|last| store.is_own(last) && last.layers.len() < settings.layers);
        let patience = if base.is_none() { GRAPH } else { patience };
        let Some(snapshot) = engine.snapshot(base.is_none(), patience) else { return Ok(None) };
        // All that the engine refused of it has been told by now.
        letterbox.flush()?;
        let landmark = log.landmark();
        let manifest = behind(|| store.write(&snapshot, base, Timestamp::now(), landmark))??;
        let (changes, bytes) = (!snapshot.is_whole(), manifest.layers.last());
        let bytes = bytes.map_or(0, |layer| layer.objects.iter().map(|object| object.bytes).sum::<u64>());
        snapshot.keep();
        tracing::info!(epoch = manifest.epoch, changes, bytes, entries = manifest.entries, "snapshot");
        *last = Some(manifest.clone());
        // Another time will do: what is too much does no harm but take room.
        if let Err(error) = store.retain(settings.keep) {
            tracing::warn!("snapshots that are not needed any more stay for now: {error}");
        }
        Ok(Some(manifest))
    }
}
