//! Snapshots: what the server goes on from at its start ([`recovery`]), and the thread that takes them while it
//! serves: on a schedule, by size of change, at the end and when asked ([`commands`]).

pub mod commands;
pub mod recovery;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use segue_connectors::log::Log;
use segue_connectors::snapshot::{Error, Manifest, Store};
use segue_dataflow::workers::Engine;
use tokio::sync::oneshot;

use crate::config::Snapshots as Settings;
use crate::health::Health;
use crate::metrics;

/// How often to look whether much has changed.
const TICK: Duration = Duration::from_millis(200);
/// How long to wait after one that failed, at the most.
const RETRY: Duration = Duration::from_secs(10);
/// Requests for one that may wait.
const REQUESTS_MAX: usize = 16;

/// Takes snapshots.
pub struct Keeper {
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
    /// Who is told what is the matter.
    pub health: Arc<Health>,
    /// When.
    pub settings: Settings,
    /// The one that the server went on from. What came since is in the log, so the next is whole.
    pub last: Option<Manifest>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let (requests, asked) = sync_channel(REQUESTS_MAX);
        let thread = Builder::new().name("snapshots".into()).spawn(move || {
            let now = Instant::now();
            Taking { parts, due: now, base: None, failed: false }.run(&asked);
        })?;
        Ok(Keeper { requests: Mutex::new(Some(requests)), thread: Mutex::new(Some(thread)) })
    }

    /// Takes one now; if nothing is new, tells the last one.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn take(&self) -> Result<Manifest, String> {
        let stopping = || "the server is stopping, or too many wait for a snapshot already".to_owned();
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reply, taken) = oneshot::channel();
        requests.ok_or_else(stopping)?.try_send(Request { reply }).map_err(|_| stopping())?;
        taken.await.map_err(|_| stopping())?
    }

    /// Takes a last one, if that is wanted, and ends.
    pub fn close(&self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().for_each(|thread| drop(thread.join()));
    }
}

struct Taking {
    parts: Parts,
    /// When the next is due.
    due: Instant,
    /// What the next one may go on top of: one that this process wrote.
    base: Option<Manifest>,
    failed: bool,
}

impl Taking {
    fn run(&mut self, asked: &Receiver<Request>) {
        self.due = Instant::now() + self.parts.settings.every.0;
        loop {
            let wait = self.due.saturating_duration_since(Instant::now()).min(TICK);
            match asked.recv_timeout(wait) {
                Ok(Request { reply }) => {
                    // Whoever asked may have gone.
                    let _ = reply.send(self.take().map_err(|error| error.to_string()));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= self.due || self.is_much() => {
                    drop(self.take());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if self.parts.settings.at_end {
                        drop(self.take());
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
        !self.failed && sum(&self.parts.engine.progress()) >= last + self.parts.settings.every_events
    }

    fn take(&mut self) -> Result<Manifest, Error> {
        let (began, before) = (Instant::now(), self.parts.last.as_ref().map(|last| last.epoch));
        let taken = self.write();
        self.failed = taken.is_err();
        let every = self.parts.settings.every.0;
        self.due = Instant::now() + if self.failed { every.min(RETRY) } else { every };
        match &taken {
            Ok(manifest) => {
                if before != Some(manifest.epoch) {
                    metrics::snapshot_taken(began.elapsed(), manifest.epoch, manifest.bytes());
                }
                self.parts.health.snapshots(None);
            }
            Err(error) => {
                metrics::snapshot_failed();
                tracing::warn!("no snapshot: {error}");
                self.parts.health.snapshots(Some(error.to_string()));
                if let Error::Fenced { .. } = error {
                    self.parts.health.fail(error.to_string());
                }
            }
        }
        taken
    }

    fn write(&mut self) -> Result<Manifest, Error> {
        let Parts { store, engine, log, settings, last, .. } = &mut self.parts;
        let whole = self.base.as_ref().is_none_or(|base| base.layers.len() >= settings.layers);
        let next = engine.progress();
        if let Some(same) = last.as_ref().filter(|last| last.next == next) {
            store.check_generation()?;
            return Ok(same.clone());
        }
        // Nothing is left to be read only once the engine has stopped.
        let Some(snapshot) = engine.snapshot(whole) else { return Err(Error::Unknown(0)) };
        let manifest = store.write(&snapshot, self.base.as_ref(), Timestamp::now(), log.landmark())?;
        let (changes, bytes) = (!snapshot.is_whole(), manifest.layers.last());
        let bytes = bytes.map_or(0, |layer| layer.objects.iter().map(|object| object.bytes).sum::<u64>());
        snapshot.keep();
        tracing::info!(epoch = manifest.epoch, changes, bytes, entries = manifest.entries, "snapshot");
        *last = Some(manifest.clone());
        self.base = Some(manifest.clone());
        // Another time will do: what is too much does no harm but take room.
        if let Err(error) = store.retain(settings.keep) {
            tracing::warn!("snapshots that are not needed any more stay for now: {error}");
        }
        Ok(manifest)
    }
}
