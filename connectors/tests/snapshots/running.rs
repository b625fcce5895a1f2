//! An engine with a history, and what its state is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use object_store::ObjectStore;
use object_store::path::Path;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_connectors::snapshot::{Error, Manifest, Store};
use segue_dataflow::catalogue::TrackRecord;
use segue_dataflow::day::Day;
use segue_dataflow::edit::Edit;
use segue_dataflow::event::{Change, Event, Named, Track};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::snapshot::{Restored, Snapshot};
use segue_dataflow::workers::{Answers, Batch, Engine, Observer, Options, Progress};
use tokio::runtime::Runtime;

#[derive(Default)]
struct Watch {
    progress: Mutex<Progress>,
    news: Condvar,
}

impl Observer for Watch {
    fn complete(&self, progress: &Progress) {
        *self.progress.lock().expect("no panic") = progress.clone();
        self.news.notify_all();
    }

    fn refused(&self, seq: u64, detail: String) {
        panic!("{seq}: {detail}");
    }
}

/// A running engine, and random events for it.
pub struct Running {
    pub engine: Engine,
    watch: Arc<Watch>,
    rng: ChaCha8Rng,
    pub next: u64,
}

impl Running {
    pub fn start(workers: usize, seed: u64, restored: Option<Restored>, next: u64) -> Self {
        let watch = Arc::new(Watch::default());
        let neighbours = Neighbours { min_support: 2, keep: 10, grid_ms: 1, ..Neighbours::default() };
        let (epoch_gap, settings) =
            (Duration::from_millis(1), Settings { neighbours, ..Settings::default() });
        let (heartbeat, answers) = (Duration::from_secs(1), Answers::Readers(1));
        let options = Options { workers, epoch_gap, heartbeat, settings, answers };
        let engine =
            Engine::start(options, Arc::new(|| 1), Arc::clone(&watch) as _, restored).expect("it starts");
        let running = Running { engine, watch, rng: ChaCha8Rng::seed_from_u64(seed), next };
        running.wait();
        running
    }

    /// Waits until all that was fed is in the answers.
    fn wait(&self) {
        let progress = self.watch.progress.lock().expect("no panic");
        let behind = |p: &mut Progress| p.as_of == 0 || p.next.first().copied().unwrap_or(0) < self.next;
        let (progress, timeout) =
            self.watch.news.wait_timeout_while(progress, Duration::from_secs(60), behind).expect("no panic");
        assert!(!timeout.timed_out());
        drop(progress); // else no worker could go on
    }

    /// Feeds random events and waits for them.
    pub fn feed(&mut self, events: u64) {
        let edits = (0..events)
            .map(|n| {
                let change = self.change();
                let at_ms = (100 + (self.next + n) as i64 / 50) * 86_400_000;
                Edit::new(self.next + n, &Event { at_ms, change })
            })
            .collect();
        self.next += events;
        self.engine.feed(Batch { edits, partition: 0, next: self.next }).expect("running");
        self.wait();
    }

    fn track(&mut self) -> Track<'static> {
        let n = self.rng.random_range(0..300);
        let mut track = Track::new(format!("t:{n}"));
        track.name = self.rng.random_bool(0.7).then(|| format!("name of {n}").into());
        track.artist = self
            .rng
            .random_bool(0.5)
            .then(|| Named { uri: format!("a:{}", n % 7).into(), name: Some("Ümlaut".into()) });
        track.duration_ms = self.rng.random_bool(0.3).then_some(n);
        track
    }

    fn change(&mut self) -> Change<'static> {
        let playlist = format!("p:{}", self.rng.random_range(0..80)).into();
        match self.rng.random_range(0..10) {
            0..5 => Change::TrackAdded { playlist, track: self.track() },
            5 => Change::TrackRemoved { playlist, track: self.track().uri },
            6 => {
                let tracks = (0..self.rng.random_range(0..30)).map(|_| self.track()).collect();
                let title = self.rng.random_bool(0.5).then(|| "Chill".into());
                Change::PlaylistPut { playlist, title, tracks }
            }
            7 => Change::PlaylistDeleted { playlist },
            8 => Change::TrackDescribed { track: self.track() },
            _ => Change::TrackForgotten { track: self.track().uri },
        }
    }

    /// With rows.
    pub fn snapshot(&self, whole: bool) -> Snapshot {
        self.engine.snapshot(whole, Duration::from_secs(60)).expect("running")
    }

    /// Writes a snapshot and keeps it if that went well.
    pub fn write(&self, store: &Store, whole: bool, base: Option<&Manifest>) -> Result<Manifest, Error> {
        let snapshot = self.snapshot(whole || base.is_none());
        let manifest = store.write(&snapshot, base, Timestamp::UNIX_EPOCH, None)?;
        snapshot.keep();
        Ok(manifest)
    }

    pub fn state(&self) -> State {
        let (mut state, snapshot) = (State::default(), self.snapshot(true));
        let first = snapshot.totals().newest.first_of(Settings::default().trending.keep_days);
        let done: Result<(), Infallible> = snapshot.playlists(|id, playlist, tracks, days| {
            let playlist = playlist.expect("there");
            let title = playlist.title.as_deref().map(str::to_owned);
            // Older ones go when there is time.
            let mut days: Vec<_> =
                days.iter().map(|day| if *day < first { Day::default() } else { *day }).collect();
            if days.iter().all(|day| *day == Day::default()) {
                days.clear();
            }
            state.playlists.insert(id, (playlist.uri.to_string(), title, tracks.to_vec(), days));
            Ok(())
        });
        done.expect("infallible");
        let done: Result<(), Infallible> = snapshot.tracks(|id, track| {
            state.tracks.insert(id, track.expect("there").clone());
            Ok(())
        });
        done.expect("infallible");
        let done: Result<_, Infallible> = snapshot.rows(|track, row| {
            state.rows.insert(track, (row.sampled(), row.neighbours().collect()));
            Ok(())
        });
        done.expect("infallible");
        state
    }

    pub fn stop(self) {
        self.engine.stop().expect("no worker panics");
    }
}

/// URI, title, tracks, and the days of these where they are kept.
type Playlist = (String, Option<String>, Vec<TrackId>, Vec<Day>);

/// All of a state.
#[derive(Debug, Default, PartialEq)]
pub struct State {
    pub playlists: BTreeMap<PlaylistId, Playlist>,
    pub tracks: BTreeMap<TrackId, TrackRecord>,
    /// How many playlists were counted, and the neighbours with what they share.
    pub rows: BTreeMap<TrackId, (u32, Vec<(TrackId, u32)>)>,
}

/// The state that a snapshot leads to, on so many workers.
pub fn loaded(store: &Store, manifest: &Manifest, workers: usize) -> State {
    let restored = store.load(manifest, workers).expect("in order");
    let running = Running::start(workers, 0, Some(restored), manifest.next[0]);
    let state = running.state();
    let counted = running.engine.graph().0.recounts.load(Ordering::Relaxed);
    assert_eq!(counted == 0, manifest.graph.is_some() || state.rows.is_empty(), "{counted} rows counted");
    running.stop();
    state
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

pub fn store(objects: Arc<dyn ObjectStore>, runtime: &Runtime) -> Store {
    let mut store = Store::on(objects, Path::from("some/prefix"), runtime.handle().clone());
    store.claim().expect("it works");
    store
}
