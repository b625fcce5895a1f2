//! The thread: takes what it is told, and as long as Redis takes it, pushes what waits, a part at a time.

use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;
use segue_connectors::redis::layout::{self, Layout};
use segue_connectors::redis::{Connection, Error, Settings as Target};
use segue_dataflow::ids::TrackId;

use super::Parts;
use super::batch::Batch;
use super::charts::Charts;
use super::inbox::Told;
use super::ledger::{Ledger, STATE};
use super::pending::{Pending, Waiting};
use super::sweep::{Sweep, Swept};
use crate::metrics;
use crate::service::reached;

/// How long to wait after a failure, at first and at the most: twice as long each time.
const WAIT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// How often to see whether the key of the state is there.
const BEAT: Duration = Duration::from_secs(1);
/// How often to see whether the engine has caught up.
const POLL: Duration = Duration::from_millis(50);
/// So many are looked after in the time of one row that is set.
const LIGHT: usize = 10;
/// In the time that a key lasts, all are looked after so often.
const SWEEPS: u32 = 3;

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
    /// Rows with a neighbour that has no URI yet, or none any more: they wait for the next beat.
    later: Vec<Waiting>,
    ledger: Ledger,
    /// Tracks that had rows at the last sweep, and get no keys.
    unwanted: FxHashSet<TrackId>,
    charts: Charts,
    sweep: Option<Sweep>,
    /// Whether what stands there is in doubt, and no sweep since.
    owed: bool,
    /// After a sweep: how many rows have to have passed so that all are there.
    filled: Option<u64>,
    /// Whether it was the sweep's turn last.
    swept: bool,
    /// The newest step told.
    through: u64,
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
            later: Vec::new(),
            ledger,
            unwanted: FxHashSet::default(),
            charts: Charts::default(),
            sweep: None,
            owed: true,
            filled: None,
            swept: false,
            through: 0,
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
        let mut lost = told.lost;
        for track in told.tracks {
            lost += usize::from(!self.pending.add(Waiting { track, through: before }));
        }
        self.lost(lost);
    }

    /// So many changed rows are not waited for any more: then all are looked at.
    fn lost(&mut self, rows: usize) {
        if rows > 0 {
            metrics::redis_dropped(rows);
            self.pending.clear();
            self.ledger.doubt_all();
            self.doubt();
        }
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

    /// Does what is due, and one part of the work that waits.
    fn work_on(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let now = Instant::now();
        self.ledger.forget_gone(now);
        if now >= self.due.beat {
            if !connection.beat(self.epoch())? {
                self.doubt();
            }
            self.pending.put_back(std::mem::take(&mut self.later).into_iter());
            self.due.beat = now + BEAT;
        }
        if now >= self.due.charts {
            let next = self.parts.progress.borrow().next.clone();
            let settings = &self.parts.settings;
            let from = (&*self.parts.engine, self.parts.days, settings.chart);
            self.charts.send(&next, from, connection, &mut self.ledger)?;
            self.due.charts = now + settings.charts_every.0;
        }
        if self.owed || self.sweep.is_none() && now >= self.due.sweep {
            self.plan();
        }
        if now < self.due.work {
            return Ok(());
        }
        let turn = self.pending.len() == 0 || self.pending.room() > 0 && !self.swept;
        let sweeps = self.sweep.as_ref().is_some_and(|sweep| sweep.is_first() || turn);
        let rows = if sweeps { self.sweep(connection)? } else { self.push(connection)? };
        self.swept = sweeps;
        self.due.work = now + Duration::from_secs_f64(rows / f64::from(self.parts.settings.rows_per_s));
        Ok(())
    }

    /// Begins a sweep: which tracks are to have keys.
    fn plan(&mut self) {
        let (first, engine) = (std::mem::take(&mut self.owed), &self.parts.engine);
        self.due.sweep = Instant::now() + self.parts.settings.expire.0 / SWEEPS;
        // As-of this epoch or later all rows are found.
        let epoch = engine.graph().1;
        let Some(mut wanted) = engine.with_rows() else { return };
        let all: FxHashSet<TrackId> = wanted.iter().copied().collect();
        self.unwanted = wanted.split_off(self.ledger.room_for(&wanted)).into_iter().collect();
        let gone = self.ledger.tracks().filter(|track| !all.contains(track) || self.unwanted.contains(track));
        self.sweep = Some(Sweep::new(gone.collect(), wanted, epoch, first));
        self.charts.doubt();
    }

    /// A part of the sweep; gives how many rows that was worth.
    fn sweep(&mut self, connection: &mut Connection) -> Result<f64, Error> {
        let Some(sweep) = &mut self.sweep else { return Ok(0.0) };
        let Swept { missing, commands, done } =
            sweep.go_on(connection, &mut self.ledger, self.pending.room())?;
        let waiting = missing.into_iter().map(|track| Waiting { track, through: 0 });
        let lost = waiting.filter(|waiting| !self.pending.add(*waiting)).count();
        debug_assert_eq!(lost, 0, "there is room for them");
        if done && self.sweep.take().is_some() {
            metrics::redis_swept();
            self.filled.get_or_insert(self.pending.added());
            self.works();
        }
        Ok(commands as f64 / LIGHT as f64)
    }

    /// Pushes the rows that wait longest; gives how many rows that was worth.
    fn push(&mut self, connection: &mut Connection) -> Result<f64, Error> {
        let settings = &self.parts.settings;
        let taken = self.pending.take(settings.batch);
        let tracks: Vec<TrackId> = taken.iter().map(|waiting| waiting.track).collect();
        let Some(read) = self.parts.engine.rows(&tracks, settings.neighbours) else { return Ok(0.0) };
        let (unwanted, layout) = (&self.unwanted, connection.layout().clone());
        let mut batch = Batch::new(&read, settings.neighbours, unwanted, &layout, &mut self.ledger);
        let (later, left_out) = (std::mem::take(&mut batch.later), std::mem::take(&mut batch.left_out));
        let (commands, same) = batch.size();
        let sent = batch.send(connection, &mut self.ledger);
        if let Err(error) = sent {
            self.pending.put_back(taken.into_iter());
            return Err(error);
        }
        self.unwanted.extend(left_out);
        self.later.extend(taken.into_iter().filter(|waiting| later.contains(&waiting.track)));
        self.works();
        Ok(commands as f64 + same as f64 / LIGHT as f64)
    }

    /// The epoch as-of which all keys are true; 0 if that is not known.
    fn epoch(&self) -> u64 {
        let filled = self.filled.is_some_and(|mark| self.pending.passed() >= mark) && self.later.is_empty();
        let first = || self.pending.first().map_or(self.through, |waiting| waiting.through);
        if filled { first() } else { 0 }
    }

    fn works(&mut self) {
        if !self.works {
            tracing::info!("rows are pushed again");
            self.parts.health.redis(None);
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
        self.parts.health.redis(Some(why));
        self.due.connect = Instant::now() + self.wait;
        self.wait = (2 * self.wait).min(WAIT[1]);
    }

    fn show(&self) {
        metrics::redis(&metrics::Redis {
            connected: self.connection.is_some(),
            pending: self.pending.len() + self.later.len(),
            keys: self.ledger.keys(),
            bytes: self.ledger.bytes(),
            left_out: self.unwanted.len(),
            epoch: self.epoch(),
        });
    }
}
