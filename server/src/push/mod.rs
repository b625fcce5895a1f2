//! The copy in Redis: rows of the graph and charts, pushed there by a thread of its own that nobody waits for.
//!
//! The engine only says which rows have changed ([`inbox`]). The thread ([`pusher`]) keeps their ids until it has
//! time ([`pending`]), reads the rows as they are then ([`batch`]), and knows what stands there ([`ledger`]). All keys
//! are looked after again and again ([`sweep`]): soon after anything that may have lost some.

mod batch;
mod charts;
mod inbox;
mod ledger;
mod pending;
mod pusher;
mod sweep;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use parking_lot::Mutex;
use segue_dataflow::priority::{self, stand_back};
use segue_dataflow::workers::{Engine, Progress};
use tokio::sync::watch;

use crate::config::Redis as Settings;
use crate::health::Health;
pub use inbox::Inbox;
use pusher::Pusher;

/// How long the end of the server waits for one request to Redis.
const END: Duration = Duration::from_secs(1);

/// What the thread has.
pub struct Parts {
    /// Where to, and how much.
    pub settings: Settings,
    /// Days of the trending chart.
    pub days: u16,
    /// What has changed.
    pub inbox: Arc<Inbox>,
    /// How it is.
    pub engine: Arc<Engine>,
    /// Who is told what is the matter.
    pub health: Arc<Health>,
    /// How far answers are.
    pub progress: watch::Receiver<Progress>,
    /// By partition, how far they have to be before anything is pushed.
    pub caught_up_at: Vec<u64>,
    /// Whether there is a graph.
    pub graph: bool,
}

/// Keeps the copy.
pub struct Push {
    inbox: Arc<Inbox>,
    /// Closed once the thread has ended.
    end: Mutex<Receiver<()>>,
}

impl Push {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let (inbox, (ends, end)) = (Arc::clone(&parts.inbox), sync_channel(0));
        Builder::new().name("redis".into()).spawn(move || {
            stand_back(priority::COPIES);
            Pusher::new(parts).run();
            drop(ends);
        })?;
        Ok(Push { inbox, end: Mutex::new(end) })
    }

    /// Ends the thread; what is not pushed yet is left. If Redis hangs, the thread is left to end by itself.
    pub fn close(&self) {
        self.inbox.close();
        let end = self.end.lock();
        // Nothing is ever sent: either it ends or the time is over.
        let _ = end.recv_timeout(END);
    }
}
