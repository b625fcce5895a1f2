//! Prequential evaluation: before an addition is applied, would it have been recommended?
//!
//! The pump only pins the present, for a share of the additions; a thread of its own finds out the rest, and what it
//! has no time for is left out and counted. So neither the log nor an answer ever waits. Additions that were on the
//! log at the start are not looked at: they were, when they came.

mod shown;
mod tally;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use segue_connectors::log::Position;
use segue_dataflow::event::{Change, Event};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::Pin;
use segue_dataflow::workers::Engine;

use crate::metrics;
pub use tally::{Found, Rates, Report};
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
        Ok(Prequential { below, from, tally, looking: Mutex::new(looking) })
    }

    /// To be told of every event of the log before it is fed. Never waits.
    pub fn before(&self, engine: &Engine, position: Position, event: &Event<'_>) {
        let Change::TrackAdded { playlist, track } = &event.change else { return };
        let (playlist, track) = (PlaylistId::of(playlist), TrackId::of(&track.uri));
        let old = self.from.get(position.partition as usize).is_some_and(|from| position.offset < *from);
        if old || draw(playlist, track) >= self.below {
            return;
        }
        let (Some((to, _)), Some(pin)) = (&*lock(&self.looking), engine.pin()) else { return };
        if to.try_send(Addition { pin, playlist, track }).is_err() {
            lock(&self.tally).skipped += 1;
            metrics::not_foreseen();
        }
    }

    /// What was found out so far; none if nothing was.
    pub fn report(&self) -> Option<Report> {
        lock(&self.tally).report()
    }

    /// Ends the thread, which leaves what is waiting.
    pub fn close(&self) {
        let looking = lock(&self.looking).take();
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
        for Addition { pin, playlist, track } in additions {
            if let Some(foreseen) = pin.foresee(playlist, track, LIST) {
                let mut tally = lock(&tally);
                let found = tally.add(track, &foreseen);
                metrics::foreseen(found, &tally.of(found.seeds), tally.catalogue_shown());
            }
        }
    })?;
    Ok((to, thread))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
