//! Prequential evaluation: before an addition is applied, would it have been recommended?
//!
//! The pump only pins the present, for a share of the additions; a thread of its own finds out the rest, and what it
//! has no time for is left out and counted. So neither the log nor an answer ever waits. Additions that were on the
//! log at the start are not looked at: they were, when they came.

mod shown;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use parking_lot::Mutex;
use segue_connectors::log::Position;
use segue_dataflow::event::{Change, Event};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::priority::{self, stand_back};
use segue_dataflow::query::Pin;
use segue_dataflow::workers::Engine;

use crate::metrics;
pub use tally::{Class, Found, Report};
use tally::{LIST, Tally};

/// Additions that wait at the most. Each holds its epoch, so they must not wait for long.
const WAITING_MAX: usize = 64;

/// An addition that is to be looked at.
struct Addition {
    /// From before it.
    pin: Pin,
    playlist: PlaylistId,
    track: TrackId,
}

/// Looks at a share of all additions.
pub struct Prequential {
    /// Additions whose [`draw`] is below this are looked at.
    below: u64,
    /// By partition, the first offset that is looked at.
    from: Vec<u64>,
    tally: Arc<Mutex<Tally>>,
    /// Additions for which there was no time.
    skipped: AtomicU64,
    /// Taken at the end.
    looking: Mutex<Option<(SyncSender<Addition>, JoinHandle<()>)>>,
}

impl Prequential {
    /// Looks at this share of the additions, of those from these offsets on.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(share: f64, from: Vec<u64>) -> std::io::Result<Self> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        // u64::MAX as f64 is 2^64, and what is too large becomes u64::MAX.
        let below = (share * u64::MAX as f64) as u64;
        let looking = if below == 0 { None } else { Some(look(&tally)?) };
        Ok(Prequential { below, from, tally, skipped: AtomicU64::new(0), looking: Mutex::new(looking) })
    }

    /// To be told of every event of the log before it is fed. Never waits.
    pub fn before(&self, engine: &Engine, position: Position, event: &Event<'_>) {
        let Change::TrackAdded { playlist, track } = &event.change else { return };
        let (playlist, track) = (PlaylistId::of(playlist), TrackId::of(&track.uri));
        let old = self.from.get(position.partition as usize).is_some_and(|from| position.offset < *from);
        if old || draw(playlist, track) >= self.below {
            return;
        }
        let (Some((to, _)), Some(pin)) = (&*self.looking.lock(), engine.pin()) else { return };
        if to.try_send(Addition { pin, playlist, track }).is_err() {
            self.skipped.fetch_add(1, Relaxed);
            metrics::not_foreseen();
        }
    }

    /// What was found out so far; none if nothing was.
    pub fn report(&self) -> Option<Report> {
        self.tally.lock().report(self.skipped.load(Relaxed))
    }

    /// Ends the thread, which leaves what is waiting.
    pub fn close(&self) {
        let looking = self.looking.lock().take();
        if let Some((to, thread)) = looking {
            drop(to);
            // It does not panic, or the process has ended.
            let _ = thread.join();
        }
    }
}

/// A fair draw: ids are hashes, and two of them that have nothing to do with each other are one too.
fn draw(playlist: PlaylistId, track: TrackId) -> u64 {
    playlist.0 ^ track.0
}

fn look(tally: &Arc<Mutex<Tally>>) -> std::io::Result<(SyncSender<Addition>, JoinHandle<()>)> {
    let (to, additions): (_, Receiver<Addition>) = sync_channel(WAITING_MAX);
    let tally = Arc::clone(tally);
    let thread = Builder::new().name("prequential".to_owned()).spawn(move || {
        stand_back(priority::WORK);
        for Addition { pin, playlist, track } in additions {
            if let Some(foreseen) = pin.foresee(playlist, track, LIST) {
                let mut tally = tally.lock();
                let found = tally.add(track, &foreseen);
                let all = Class { seeds: "all", rates: tally.all() };
                metrics::foreseen(found, tally.by_seeds().chain([all]));
            }
        }
    })?;
    Ok((to, thread))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use segue_dataflow::edit::Edit;
    use segue_dataflow::event::Track;
    use segue_dataflow::settings::Settings;
    use segue_dataflow::workers::{Answers, Batch, Observer, Options, Progress};

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn complete(&self, _progress: &Progress) {}

        fn refused(&self, seq: u64, detail: String) {
            panic!("{seq}: {detail}");
        }
    }

    #[test]
    fn what_the_thread_has_no_time_for_is_left_out_and_counted() {
        let options = Options {
            workers: 1,
            epoch_gap: Duration::from_millis(1),
            heartbeat: Duration::from_secs(1),
            settings: Settings::default(),
            answers: Answers::Workers,
        };
        let engine = Engine::start(options, Arc::new(|| 1), Arc::new(Nobody), None).expect("it starts");
        let tracks = vec![Track::new("a"), Track::new("b")];
        let put = Change::PlaylistPut { playlist: "p".into(), title: None, tracks };
        let edits = vec![Edit::new(0, &Event { at_ms: 1, change: put })];
        engine.feed(Batch { edits, partition: 0, next: 1 }).expect("it runs");
        assert!(engine.wait(0, 1));

        let prequential = Prequential::start(1.0, vec![1]).expect("a thread");
        let add = |n: u64| {
            let change = Change::TrackAdded { playlist: "p".into(), track: Track::new(format!("t:{n}")) };
            let position = Position { partition: 0, offset: n };
            prequential.before(&engine, position, &Event { at_ms: 1, change });
        };
        // The thread comes to a stop at the tally with one of them, and the others wait, or do not.
        let held_up = prequential.tally.lock();
        (1..=200).for_each(add);
        let skipped = prequential.skipped.load(Relaxed);
        let most = 200 - WAITING_MAX as u64;
        assert!((most - 1..=most).contains(&skipped), "{skipped} of 200");
        drop(held_up);
        let asked = || prequential.tally.lock().all().asked;
        while asked() + skipped < 200 {
            std::thread::yield_now();
        }
        let report = prequential.report().map(|report| serde_json::json!(report)).unwrap_or_default();
        assert_eq!((&report["asked"], &report["skipped"]), (&(200 - skipped).into(), &skipped.into()));
        // From now on there is time again, but not for what was on the log at the start.
        add(0);
        add(201);
        while asked() + skipped < 201 {
            std::thread::yield_now();
        }
        prequential.close();
        add(202);
        assert_eq!((asked() + skipped, prequential.skipped.load(Relaxed)), (201, skipped));
        engine.stop().expect("no worker panics");
    }
}
