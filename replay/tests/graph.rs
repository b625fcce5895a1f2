//! The graph over real edits: at ten points on the way and at the end, every row is that of the twin.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use segue_dataflow::edit::Edit;
use segue_dataflow::event::Event;
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::neighbours::GraphStep;
use segue_dataflow::sample;
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::workers::{Answers, Batch, Engine, Observer, Options, Progress};
use segue_replay::source::{Fault, Reader, Sink, find};

mod twin;
use twin::Twin;

/// Samples so small that they are halved and doubled, and bursts that are none.
const RULES: Neighbours = Neighbours { sample: 8, keep: 10, min_support: 4, grid_ms: 5, burst: 5_000 };
/// Real edits there are.
const EDITS: u64 = 164_428;
/// Edits that are fed at a time.
const FED: u64 = 300;

/// Track → how many playlists are sampled, and the neighbours with how many of them they share.
type Rows = BTreeMap<TrackId, (u32, Vec<(TrackId, u32)>)>;

/// How far answers and the graph are, and the rows it has.
#[derive(Default)]
struct Watch {
    seen: Mutex<(Progress, u64, Rows)>,
    news: Condvar,
}

impl Observer for Watch {
    fn complete(&self, progress: &Progress) {
        self.seen.lock().expect("no panic holds it").0 = progress.clone();
        self.news.notify_all();
    }

    fn refused(&self, seq: u64, detail: String) {
        panic!("event {seq}: {detail}");
    }

    fn graph(&self, step: GraphStep) {
        let mut seen = self.seen.lock().expect("no panic holds it");
        assert!(step.epoch > seen.1, "{} after {}", step.epoch, seen.1);
        seen.1 = step.epoch;
        for changed in step.rows {
            match changed.new {
                Some(row) => drop(seen.2.insert(changed.track, (row.sampled(), row.neighbours().collect()))),
                None => drop(seen.2.remove(&changed.track)),
            }
        }
        self.news.notify_all();
    }
}

impl Watch {
    fn wait(&self, behind: impl Fn(&(Progress, u64, Rows)) -> bool) -> MutexGuard<'_, (Progress, u64, Rows)> {
        let seen = self.seen.lock().expect("no panic holds it");
        let waited = self.news.wait_timeout_while(seen, Duration::from_secs(60), |seen| behind(seen));
        let (seen, timeout) = waited.expect("no panic holds it");
        assert!(!timeout.timed_out(), "as-of {:?}, the graph as-of {}", seen.0, seen.1);
        seen
    }
}

fn rows(twin: &Twin) -> Rows {
    let mut playlists: HashMap<PlaylistId, Vec<TrackId>> = HashMap::new();
    let mut holders: BTreeMap<TrackId, Vec<PlaylistId>> = BTreeMap::new();
    for (playlist, tracks) in &twin.playlists {
        let id = PlaylistId::of(playlist);
        for track in tracks.iter().map(|track| TrackId::of(track)) {
            playlists.entry(id).or_default().push(track);
            holders.entry(track).or_default().push(id);
        }
    }
    holders.retain(|_, holders| holders.len() >= RULES.min_support as usize);
    let row = |(track, holders): (TrackId, Vec<PlaylistId>)| {
        let last = sample::last(sample::level(holders.len() as u32, RULES.sample));
        let sampled: Vec<_> = holders.into_iter().filter(|playlist| playlist.0 <= last).collect();
        let mut shared: HashMap<TrackId, u32> = HashMap::new();
        for other in sampled.iter().flat_map(|p| &playlists[p]).filter(|other| **other != track) {
            *shared.entry(*other).or_default() += 1;
        }
        let mut best: Vec<_> = shared.into_iter().filter(|(_, shared)| *shared > 1).collect();
        best.sort_by_key(|(other, shared)| (Reverse(*shared), *other));
        best.truncate(RULES.keep as usize);
        (track, (sampled.len() as u32, best))
    };
    holders.into_iter().map(row).collect()
}

/// Feeds what it is given, and looks at the rows now and then.
struct Feeder {
    engine: Engine,
    watch: Arc<Watch>,
    twin: Twin,
    next: u64,
    batch: Batch,
    compared: Vec<usize>,
}

impl Feeder {
    fn flush(&mut self) {
        self.batch.next = self.next;
        self.engine.feed(std::mem::take(&mut self.batch)).expect("it runs");
        drop(self.watch.wait(|(progress, ..)| progress.next.first().is_none_or(|next| *next < self.next)));
    }

    fn compare(&mut self) {
        let as_of = self.watch.wait(|_| false).0.as_of;
        let seen = self.watch.wait(|(_, graph, _)| *graph < as_of);
        let expected = rows(&self.twin);
        assert_eq!(seen.2, expected, "after {} edits", self.next);
        self.compared.push(expected.len());
    }
}

impl Sink for Feeder {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.twin.apply(event);
        self.batch.edits.push(Edit::new(self.next, event));
        self.next += 1;
        if self.next.is_multiple_of(FED) {
            self.flush();
        }
        if self.next.is_multiple_of(EDITS / 10) {
            self.flush();
            self.compare();
        }
        ControlFlow::Continue(())
    }

    fn fault(&mut self, fault: Fault) {
        panic!("{fault}");
    }
}

#[test]
fn rows_are_those_of_the_twin_all_along_the_real_edits() {
    let name = "playlist-archive.events.ndjson.gz";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: ../shared/data/{name} is not there");
        return;
    }
    for workers in [1, 2] {
        let watch = Arc::new(Watch::default());
        let options = Options {
            workers,
            epoch_gap: Duration::from_millis(1),
            heartbeat: Duration::from_secs(1),
            settings: Settings { neighbours: RULES, ..Settings::default() },
            answers: Answers::Readers(1),
        };
        let began = Instant::now();
        let clock = Arc::new(move || 1 + began.elapsed().as_millis() as u64);
        let engine = Engine::start(options, clock, Arc::clone(&watch) as _, None).expect("it starts");
        let (twin, batch, compared) = Default::default();
        let mut feeder = Feeder { engine, watch, twin, next: 0, batch, compared };
        let flow = Reader::new().read_all(&find(std::slice::from_ref(&path)).expect("a source"), &mut feeder);
        assert!(flow.is_continue());
        feeder.flush();
        feeder.compare();
        assert_eq!((feeder.next, feeder.compared.len()), (EDITS, 11));
        assert!(feeder.compared.iter().sum::<usize>() > 3_000, "{:?}", feeder.compared);
        let (stats, _) = feeder.engine.graph();
        assert!(stats.notes.load(std::sync::atomic::Ordering::Relaxed) > 10_000, "{stats:?}");
        feeder.engine.stop().expect("no worker panics");
    }
}
