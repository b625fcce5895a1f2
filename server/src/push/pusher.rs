//! The thread: takes what it is told, and as long as Redis takes it, does a part of the work at a time ([`work`]).

mod work;

use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;
use segue_connectors::redis::layout::{self, Layout};
use segue_connectors::redis::{Connection, Error, Settings as Target};
use segue_dataflow::ids::TrackId;

use super::Parts;
use super::batch::Uris;
use super::charts::Pushed;
use super::inbox::Told;
use super::ledger::{Ledger, STATE};
use super::pending::{Pending, Waiting};
use super::sweep::Sweep;
use crate::metrics;
use crate::service::reached;

/// How long to wait after a failure, at first and at the most: twice as long each time.
const WAIT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// How often to see whether the engine has caught up.
const POLL: Duration = Duration::from_millis(50);

/// See the module.
pub struct Pusher {
    parts: Parts,
    target: Target,
    connection: Option<Connection>,
    /// Whether it took what it was sent last.
    works: bool,
    /// How long to wait after the next failure.
    wait: Duration,
    pending: Pending,
    ledger: Ledger,
    /// Tracks that had rows at the last sweep, and get no keys.
    unwanted: FxHashSet<TrackId>,
    charts: Pushed,
    uris: Uris,
    /// What the last sweep left for them.
    planned: usize,
    sweep: Option<Sweep>,
    /// Whether what stands there is in doubt, and no sweep since.
    owed: bool,
    /// Whether a row was forgotten that the present sweep may not find.
    forgotten: bool,
    /// After a sweep: how many rows have to have passed so that all are there.
    filled: Option<u64>,
    /// Whether it was the sweep's turn last.
    swept: bool,
    /// The newest step told.
    through: u64,
    /// What the state said at the last beat, at least; 0 if it has to be set first.
    beaten: u64,
    ready: Ready,
    due: Due,
}

/// Whether there is anything to push.
#[derive(PartialEq, Eq)]
enum Ready {
    /// The log is still being read.
    No,
    /// The graph has yet to reach this epoch.
    Graph(u64),
    Yes,
}

/// When what is to be done.
struct Due {
    connect: Instant,
    beat: Instant,
    charts: Instant,
    sweep: Instant,
    work: Instant,
}

impl Pusher {
    /// That has not done anything yet.
    pub fn new(parts: Parts) -> Self {
        let settings = &parts.settings;
        let target = Target {
            url: settings.url.clone(),
            prefix: settings.prefix.clone(),
            expire: settings.expire.0,
            timeout: settings.timeout.0,
        };
        let now = Instant::now();
        let mut ledger = Ledger::new(settings.max_keys, settings.max_bytes);
        // The state: it has always room.
        ledger.other(STATE, Layout::new(&settings.prefix).state().len() + layout::state(u64::MAX).len());
        Pusher {
            target,
            connection: None,
            works: true,
            wait: WAIT[0],
            pending: Pending::new(settings.waiting),
            ledger,
            unwanted: FxHashSet::default(),
            charts: Pushed::default(),
            uris: Uris::default(),
            planned: 0,
            sweep: None,
            owed: true,
            forgotten: false,
            filled: None,
            swept: false,
            through: 0,
            beaten: 0,
            ready: Ready::No,
            due: Due { connect: now, beat: now, charts: now, sweep: now, work: now },
            parts,
        }
    }

    /// Until the inbox is closed.
    pub fn run(mut self) {
        loop {
            let told = self.parts.inbox.wait(self.next());
            if told.closed {
                return;
            }
            self.take(told);
            if self.is_ready()
                && let Err(error) = self.work()
            {
                self.failed(&error);
            }
            self.show();
        }
    }

    /// When there is something to do.
    fn next(&self) -> Instant {
        if self.ready != Ready::Yes {
            return Instant::now() + POLL;
        }
        if self.connection.is_none() {
            return self.due.connect;
        }
        let mut next = self.due.beat.min(self.due.charts);
        if self.sweep.is_none() {
            next = next.min(self.due.sweep);
        }
        if self.sweep.is_some() || self.pending.len() > 0 {
            next = next.min(self.due.work);
        }
        next
    }

    fn take(&mut self, told: Told) {
        let before = std::mem::replace(&mut self.through, told.through);
        if self.ready != Ready::Yes {
            return; // the first sweep looks at all
        }
        if told.lost > 0 {
            // Nobody knows which.
            metrics::redis_dropped(told.lost);
            self.pending.clear();
            self.ledger.doubt_all();
            self.doubt();
        }
        for track in told.tracks {
            let oldest = self.pending.add(Waiting { track, through: before });
            oldest.into_iter().for_each(|track| self.forget(track));
        }
    }

    /// A changed row is not waited for any more: another sweep finds it.
    fn forget(&mut self, track: TrackId) {
        metrics::redis_dropped(1);
        self.ledger.doubt(track);
        (self.forgotten, self.filled, self.due.sweep) = (true, None, Instant::now());
    }

    fn is_ready(&mut self) -> bool {
        if self.ready == Ready::No {
            let progress = self.parts.progress.borrow();
            if reached(&progress, &self.parts.caught_up_at) {
                self.ready = Ready::Graph(progress.as_of);
            }
        }
        if let Ready::Graph(epoch) = self.ready
            && (!self.parts.graph || self.parts.engine.graph().1 >= epoch)
        {
            self.ready = Ready::Yes;
        }
        self.ready == Ready::Yes
    }

    /// What stands there may have been lost.
    fn doubt(&mut self) {
        self.charts.doubt();
        (self.sweep, self.filled, self.owed) = (None, None, true);
    }

    fn work(&mut self) -> Result<(), Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None if Instant::now() < self.due.connect => return Ok(()),
            None => {
                let connection = Connection::open(&self.target)?;
                self.doubt();
                self.due.beat = Instant::now();
                connection
            }
        };
        let before = connection.sent();
        let done = self.work_on(&mut connection);
        let (commands, bytes) = connection.sent();
        metrics::redis_sent(commands - before.0, bytes - before.1);
        self.connection = done.is_ok().then_some(connection);
        done
    }

    fn worked(&mut self) {
        if !self.works {
            tracing::info!("rows are pushed again");
            self.parts.health.set_redis(None);
        }
        (self.works, self.wait) = (true, WAIT[0]);
    }

    fn failed(&mut self, error: &Error) {
        metrics::redis_failed();
        let why = error.to_string();
        if self.works {
            tracing::warn!("rows are not pushed: {why}");
        } else {
            tracing::debug!("rows are not pushed yet: {why}");
        }
        self.works = false;
        self.parts.health.set_redis(Some(why));
        self.due.connect = Instant::now() + self.wait;
        self.wait = (2 * self.wait).min(WAIT[1]);
    }

    fn show(&self) {
        metrics::redis(&metrics::Redis {
            connected: self.connection.is_some(),
            pending: self.pending.len(),
            keys: self.ledger.keys(),
            bytes: self.ledger.bytes(),
            left_out: self.unwanted.len(),
            epoch: self.epoch(),
        });
    }
}
