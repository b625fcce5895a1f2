//! The change feed: rows of the graph and places in charts as they change, for readers who each go their own pace.
//!
//! The engine's observer only hands over each step ([`Feed::step`]). A thread of its own ([`writer`]) makes events of
//! it, once for all readers, in [`ring`]; [`rows`] and [`charts`] say what is in them. Each reader ([`reader`]) is a
//! task that takes what it wants from there, after the whole graph if it asked for it ([`whole`]). What a reader
//! cannot be told any more is never passed over: it is told that, and let go.

mod charts;
mod reader;
mod ring;
mod rows;
mod whole;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};
use segue_dataflow::ids::TrackId;
use segue_dataflow::neighbours::GraphStep;
use segue_dataflow::workers::Engine;
use tokio::sync::watch;

use crate::config::{Changes, Config};
use crate::http::charts::days;
use crate::metrics;
use charts::Charts;
pub use reader::{Filter, Reader};
pub use ring::Kind;
use ring::Ring;
use writer::Writer;

/// Steps that wait for the thread at the most: far more than come while it makes events of a whole graph.
const STEPS_MAX: usize = 1_024;

/// What the thread is told.
enum Said {
    /// A step has ended.
    Step(GraphStep),
    /// There is something to look at.
    Look,
}

/// The feed.
pub struct Feed {
    shared: Arc<Shared>,
    said: SyncSender<Said>,
    /// Taken when it starts.
    waiting: Mutex<Option<Receiver<Said>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and the readers share.
struct Shared {
    settings: Changes,
    /// What ids begin with, so that those of another run are not taken for this one's.
    instance: String,
    state: Mutex<State>,
    /// Something was not handed to the thread, or cannot be told.
    lost: AtomicBool,
    /// Changes with the state, and is true once the feed is closed.
    news: watch::Sender<bool>,
}

struct State {
    ring: Ring,
    /// Whether events are made; nobody reads before.
    active: bool,
    readers: usize,
    /// When the last reader left.
    left: Option<Instant>,
    /// As of the newest event.
    charts: Arc<Charts>,
    /// Tracks whose row was told without some that were not there, with the step that it was of: it is told again after
    /// a later one.
    retry: FxHashMap<TrackId, u64>,
    /// Counts when a reader begins to be told all rows, and when it has been.
    copies: u64,
}

/// Why nobody can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are enough readers.
    #[error("{0} readers follow the changes already, and more are not let in")]
    TooMany(usize),
    /// The id is none.
    #[error("{0:?} is no id of an event")]
    Malformed(String),
    /// What came after it is not kept.
    #[error(
        "what came after event {0} is not kept any more; begin anew, with from=start for all that is there"
    )]
    Gone(String),
    /// The server is on its way down.
    #[error("the server is stopping")]
    Stopping,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    /// With its queue, which waits for [`start`](Self::start).
    pub fn new(settings: Changes) -> Arc<Self> {
        let (said, waiting) = sync_channel(STEPS_MAX);
        let state = State {
            ring: Ring::new(settings.buffer_events, settings.buffer_bytes),
            active: false,
            readers: 0,
            left: None,
            charts: Arc::default(),
            retry: FxHashMap::default(),
            copies: 0,
        };
        let instance = format!("{:x}", uuid::Uuid::now_v7().as_u64_pair().1);
        let (state, lost, news) = (Mutex::new(state), AtomicBool::new(false), watch::Sender::new(false));
        let shared = Arc::new(Shared { settings, instance, state, lost, news });
        Arc::new(Feed { shared, said, waiting: Mutex::new(Some(waiting)), thread: Mutex::new(None) })
    }

    /// Starts the thread, which looks things up in the engine that hands over the steps.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(&self, engine: &Arc<Engine>, config: &Config) -> std::io::Result<()> {
        let Some(said) = lock(&self.waiting).take() else { return Ok(()) };
        let (has_graph, days) = (config.neighbours.keep > 0, days(config));
        let writer = Writer::new(Arc::clone(&self.shared), Arc::clone(engine), has_graph, days);
        let thread = Builder::new().name("changes".to_owned()).spawn(move || writer.run(&said))?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// To be told of each step of the graph. Never waits.
    pub fn step(&self, step: GraphStep) {
        if self.said.try_send(Said::Step(step)).is_err() {
            self.shared.lose();
        }
    }

    /// Lets a reader in: after the event with this id, or from now on; with `whole`, after all that is there.
    ///
    /// # Errors
    /// Why not.
    pub fn read(
        &self,
        engine: &Arc<Engine>,
        filter: Filter,
        last: Option<&str>,
        whole: bool,
    ) -> Result<Reader, Refused> {
        let position = last.map(|id| self.shared.position(id)).transpose()?;
        if self.shared.is_closed() {
            return Err(Refused::Stopping);
        }
        let most = self.shared.settings.readers;
        self.shared.state(|state| {
            if let (Some(position), Some(id)) = (position, last)
                && (!state.active || state.ring.at(position).is_err())
            {
                return Err(Refused::Gone(id.to_owned()));
            }
            if state.readers >= most {
                return Err(Refused::TooMany(most));
            }
            state.readers += 1;
            metrics::changes_readers(state.readers);
            Ok(())
        })?;
        let reader = Reader::new(Arc::clone(&self.shared), Arc::clone(engine), filter, position, whole);
        // A queue that is full is looked at as well.
        let _ = self.said.try_send(Said::Look);
        Ok(reader)
    }

    /// Lets all readers go, and nobody in any more.
    pub fn close(&self) {
        self.shared.news.send_replace(true);
        let _ = self.said.try_send(Said::Look);
    }

    /// Waits for the thread, once the engine has stopped.
    pub fn join(&self) {
        self.close();
        // It does not panic, or the process has ended.
        lock(&self.thread).take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut lock(&self.state))
    }

    fn is_closed(&self) -> bool {
        *self.news.borrow()
    }

    /// Says that the state has changed.
    fn tell(&self) {
        self.news.send_modify(|_| {});
    }

    /// Something is missing from here on.
    fn lose(&self) {
        self.lost.store(true, Ordering::SeqCst);
    }

    fn has_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::SeqCst)
    }

    /// The position that an id stands for; none at all if it is of another run.
    fn position(&self, id: &str) -> Result<u64, Refused> {
        let malformed = || Refused::Malformed(id.chars().take(80).collect());
        let (instance, number) = id.split_once('-').ok_or_else(malformed)?;
        let hex = |text: &str| (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        let digits = number.bytes().all(|b| b.is_ascii_digit());
        let number = number.parse().ok().filter(|_| digits && hex(instance)).ok_or_else(malformed)?;
        if instance == self.instance { Ok(number) } else { Err(Refused::Gone(id.to_owned())) }
    }
}

impl State {
    /// Whether somebody reads, or may still want to go on.
    fn is_wanted(&self, idle: Duration) -> bool {
        self.readers > 0 || self.left.is_some_and(|left| left.elapsed() < idle)
    }

    /// The rows of these tracks are to be told again after this step.
    fn retry(&mut self, tracks: impl IntoIterator<Item = TrackId>, step: u64) {
        for track in tracks {
            let last = self.retry.entry(track).or_default();
            *last = step.max(*last);
        }
    }

    /// Takes the tracks whose row is to be told again after this step.
    fn again(&mut self, step: u64) -> FxHashSet<TrackId> {
        let due = self.retry.iter().filter(|(_, of)| **of < step).map(|(track, _)| *track).collect();
        self.retry.retain(|_, of| *of >= step);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;

    /// The next text that has this in it.
    async fn until(events: &mut tokio::sync::mpsc::Receiver<bytes::Bytes>, what: &str) -> String {
        let next = async {
            loop {
                let text = events.recv().await.expect("it is not the end");
                let text = String::from_utf8(text.to_vec()).expect("UTF-8");
                if text.contains(what) {
                    return text;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), next).await.expect("it comes")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_told_lets_all_readers_go_and_in_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.server.data_dir = folder.path().to_owned();
        let service = tokio::task::spawn_blocking(move || Service::start(config));
        let service = service.await.expect("no panic").expect("it starts");
        let read = |last: Option<&str>| service.feed.read(&service.engine, Filter::default(), last, true);
        let mut events = read(None).expect("it is let in").start();
        let progress = until(&mut events, "event: progress").await;
        let id = progress.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id");
        let mut again = read(Some(id)).expect("it is kept").start();

        service.feed.shared.lose();
        service.feed.said.try_send(Said::Look).expect("there is room");
        for events in [&mut events, &mut again] {
            assert!(until(events, "event: dropped").await.contains("\"code\":\"gap\""));
            assert_eq!(events.recv().await, None);
        }
        assert_eq!(read(Some(id)).err(), Some(Refused::Gone(id.to_owned())));
        until(&mut read(None).expect("it is let in").start(), "event: progress").await;

        service.feed.close();
        assert_eq!(read(None).err(), Some(Refused::Stopping));
        let stopped = tokio::task::spawn_blocking(move || service.stop()).await.expect("no panic");
        stopped.expect("no worker panics");
    }
}
