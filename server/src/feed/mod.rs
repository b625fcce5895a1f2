//! The change feed: rows of the graph and places in charts as they change, for readers who each go their own pace.
//!
//! A thread of its own ([`writer`]) looks at the graph whenever the engine says that a step has ended, and at the charts
//! now and then, and makes events of what has changed, once for all readers, in [`ring`]; [`rows`] and [`charts`] say
//! what is in them. Each reader ([`reader`]) is a task that takes what it wants from there, after the whole graph if it
//! asked for it ([`copy`]). What a reader cannot be told any more is never passed over: it is told that, and let go.

mod charts;
mod copy;
mod reader;
mod ring;
mod rows;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::GraphLease;
use segue_dataflow::workers::Engine;
use tokio::sync::watch;

use crate::config::{Changes, Config};
use crate::http::charts::days;
use crate::metrics;
use charts::Places;
use copy::Copy;
pub use reader::{Filter, Reader};
pub use ring::Kind;
use ring::{Draft, Marks, Ring};
use writer::Writer;

/// The feed.
pub struct Feed {
    shared: Arc<Shared>,
    /// Wakes the thread: that it has something to look at is said once.
    wake: SyncSender<()>,
    /// Taken when it starts.
    woken: Mutex<Option<Receiver<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and the readers share.
struct Shared {
    settings: Changes,
    /// What ids begin with, so that those of another run are not taken for this one's.
    instance: String,
    state: Mutex<State>,
    /// Changes with the state, and is true once the feed is closed.
    news: watch::Sender<bool>,
}

struct State {
    ring: Ring,
    /// None while no events are made: nobody reads.
    settled: Option<Arc<Settled>>,
    readers: usize,
    /// When the last reader left.
    left: Option<Instant>,
}

/// Where everything is told, and what there is.
#[derive(Clone)]
struct Settled {
    /// In the buffer.
    position: u64,
    marks: Marks,
    /// None if there is none.
    graph: Option<Arc<GraphLease>>,
    charts: Arc<Places>,
}

/// The id of an event.
#[derive(Clone, Copy)]
struct Id<'a> {
    instance: &'a str,
    /// Who has it goes on from here.
    position: u64,
    /// And has rows through this track only; none: all.
    copied: Option<TrackId>,
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}-{}", self.instance, self.position)?;
        self.copied.map_or(Ok(()), |track| write!(to, "-{:x}", track.0))
    }
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

impl Feed {
    /// It waits for [`start`](Self::start).
    pub fn new(settings: Changes) -> Arc<Self> {
        let (wake, woken) = sync_channel(1);
        let ring = Ring::new(settings.buffer_events, settings.buffer_bytes);
        let state = Mutex::new(State { ring, settled: None, readers: 0, left: None });
        let instance = format!("{:x}", uuid::Uuid::now_v7().as_u64_pair().1);
        let shared = Arc::new(Shared { settings, instance, state, news: watch::Sender::new(false) });
        Arc::new(Feed { shared, wake, woken: Mutex::new(Some(woken)), thread: Mutex::new(None) })
    }

    /// Starts the thread, which looks at this engine.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(&self, engine: &Arc<Engine>, config: &Config) -> std::io::Result<()> {
        let Some(woken) = self.woken.lock().take() else { return Ok(()) };
        let (has_graph, days) = (config.neighbours.keep > 0, days(config));
        let writer = Writer::new(Arc::clone(&self.shared), Arc::clone(engine), has_graph, days);
        let thread = Builder::new().name("changes".to_owned()).spawn(move || writer.run(&woken))?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// There is something to look at, such as a step of the graph. Never waits.
    pub fn wake(&self) {
        // If it is full, the thread has yet to look.
        let _ = self.wake.try_send(());
    }

    /// Lets a reader in: after the event with this id, or from now on; with `whole`, after all that is there.
    ///
    /// # Errors
    /// Why not.
    pub fn read(&self, filter: Filter, last: Option<&str>, whole: bool) -> Result<Reader, Refused> {
        let position = last.map(|id| self.shared.position(id)).transpose()?;
        if self.shared.is_closed() {
            return Err(Refused::Stopping);
        }
        let most = self.shared.settings.readers;
        self.shared.state(|state| {
            if let (Some((position, _)), Some(id)) = (position, last)
                && (state.settled.is_none() || state.ring.at(position).is_err())
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
        let copy = match position {
            Some((_, copied)) => copied.map(Copy::after),
            None => whole.then(Copy::default),
        };
        let reader = Reader::new(Arc::clone(&self.shared), filter, position.map(|(at, _)| at), copy);
        self.wake();
        Ok(reader)
    }

    /// Lets all readers go, and nobody in any more.
    pub fn close(&self) {
        self.shared.news.send_replace(true);
        self.wake();
    }

    /// Waits for the thread, once the engine has stopped.
    pub fn join(&self) {
        self.close();
        // It does not panic, or the process has ended.
        self.thread.lock().take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    fn is_closed(&self) -> bool {
        *self.news.borrow()
    }

    /// The position that an id stands for, and the track; none at all if it is of another run.
    fn position(&self, id: &str) -> Result<(u64, Option<TrackId>), Refused> {
        let malformed = || Refused::Malformed(id.chars().take(80).collect());
        let hex = |text: &str| {
            let is_hex = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
            if is_hex { u64::from_str_radix(text, 16).ok() } else { None }
        };
        let mut parts = id.splitn(3, '-');
        let instance = parts.next().filter(|text| hex(text).is_some()).ok_or_else(malformed)?;
        let number = parts.next().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let position = number.and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        let copied = parts.next().map(|text| hex(text).map(TrackId).ok_or_else(malformed)).transpose()?;
        if instance == self.instance { Ok((position, copied)) } else { Err(Refused::Gone(id.to_owned())) }
    }
}

impl State {
    /// Whether somebody reads, or may still want to go on.
    fn is_wanted(&self, idle: Duration) -> bool {
        self.readers > 0 || self.left.is_some_and(|left| left.elapsed() < idle)
    }

    /// Takes events in, and with the last of a step where that leads to. Gives the bytes that are kept, and what was
    /// settled before.
    fn push(&mut self, draft: Draft, settled: Option<Settled>) -> (usize, Option<Arc<Settled>>) {
        self.ring.push(draft, settled.as_ref().map(|settled| settled.marks));
        let position = self.ring.next();
        let settled = settled.map(|settled| Arc::new(Settled { position, ..settled }));
        let before = if settled.is_some() { std::mem::replace(&mut self.settled, settled) } else { None };
        (self.ring.bytes(), before)
    }

    /// No more events are made. Gives what was settled.
    fn rest(&mut self) -> Option<Arc<Settled>> {
        let settled = self.settled.take()?;
        self.ring.clear();
        Some(settled)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::reader::{End, Reader};
    use super::*;

    #[test]
    fn an_id_says_where_to_go_on() {
        let feed = Feed::new(Config::default().changes);
        let instance = &*feed.shared.instance;
        for copied in [None, Some(TrackId(0)), Some(TrackId(u64::MAX))] {
            let id = Id { instance, position: 7, copied }.to_string();
            assert_eq!(feed.shared.position(&id), Ok((7, copied)), "{id}");
            assert_eq!(feed.read(Filter::default(), Some(&id), false).err(), Some(Refused::Gone(id)));
        }
        for rest in ["", "-", "-x", "-+7", "-7-", "-7-+7", "-7-x", "-7-7-7", "-7-11112222333344445"] {
            let id = format!("{instance}{rest}");
            assert_eq!(feed.shared.position(&id), Err(Refused::Malformed(id)));
        }
        assert_eq!(feed.shared.position("0-7"), Err(Refused::Gone("0-7".to_owned())));
        feed.close();
        assert_eq!(feed.read(Filter::default(), None, true).err(), Some(Refused::Stopping));
    }

    #[tokio::test]
    async fn a_reader_that_waits_for_its_client_holds_no_step_of_the_graph() {
        let feed = Feed::new(Config::default().changes);
        let marks = Marks { graph: Some(9), charts: 9 };
        let settled = Arc::new(Settled { position: 0, marks, graph: None, charts: Arc::default() });
        feed.shared.state(|state| {
            state.settled = Some(Arc::clone(&settled));
            state.readers = 1;
        });
        let reader = Reader::new(Arc::clone(&feed.shared), Filter::default(), Some(0), None);
        let (to, mut from) = mpsc::channel(1);
        to.try_send(Bytes::new()).expect("room for one");
        let reading = tokio::spawn(async move { reader.run(&to).await });
        // On one thread: it goes on until it waits.
        tokio::task::yield_now().await;
        // Of what is settled there are ours and the feed's.
        assert_eq!(Arc::strong_count(&settled), 2);
        assert!(from.recv().await.is_some_and(|text| text.is_empty()));
        let told = from.recv().await.expect("progress");
        assert!(told.starts_with(b"id: ") && told.windows(8).any(|some| some == b"progress"), "{told:?}");
        feed.close();
        assert_eq!(reading.await.expect("no panic"), End::Stopping);
    }
}
