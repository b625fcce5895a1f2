//! The graph over real edits: at ten points on the way and at the end, every row is that of the twin, and so are the
//! neighbours of tracks without a row, counted when asked for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use segue_dataflow::edit::Edit;
use segue_dataflow::event::Event;
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::neighbours::GraphStep;
use segue_dataflow::query::{Answer, Body, Question};
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
/// Tracks without a row whose neighbours are asked for at each point, at the most.
const WITHOUT_ROW: usize = 200;
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

/// Entries both ways round.
#[derive(Default)]
struct Entries {
    playlists: HashMap<PlaylistId, Vec<TrackId>>,
    holders: BTreeMap<TrackId, Vec<PlaylistId>>,
}

impl Entries {
    fn of(twin: &Twin) -> Self {
        let mut entries = Entries::default();
        for (playlist, tracks) in &twin.playlists {
            let id = PlaylistId::of(playlist);
            for track in tracks.iter().map(|track| TrackId::of(track)) {
                entries.playlists.entry(id).or_default().push(track);
                entries.holders.entry(track).or_default().push(id);
            }
        }
        entries
    }

    /// How many playlists are sampled, and those that share so many of them at least.
    fn row(&self, track: TrackId, least: u32) -> (u32, Vec<(TrackId, u32)>) {
        let holders = &self.holders[&track];
        let last = sample::last(sample::level(holders.len() as u32, RULES.sample));
        let sampled: Vec<_> = holders.iter().filter(|playlist| playlist.0 <= last).collect();
        let mut shared: HashMap<TrackId, u32> = HashMap::new();
        for other in sampled.iter().flat_map(|p| &self.playlists[*p]).filter(|other| **other != track) {
            *shared.entry(*other).or_default() += 1;
        }
        let mut best: Vec<_> = shared.into_iter().filter(|(_, shared)| *shared >= least).collect();
        best.sort_by_key(|(other, shared)| (Reverse(*shared), *other));
        best.truncate(RULES.keep as usize);
        (sampled.len() as u32, best)
    }

    fn has_row(&self, track: TrackId) -> bool {
        self.holders[&track].len() >= RULES.min_support as usize
    }
}

/// Feeds what it is given, and looks at the rows now and then.
struct Feeder {
    engine: Engine,
    watch: Arc<Watch>,
    twin: Twin,
    next: u64,
    batch: Batch,
    compared: Vec<usize>,
    asked: usize,
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
        let entries = Entries::of(&self.twin);
        let (with, without): (Vec<TrackId>, Vec<TrackId>) =
            entries.holders.keys().partition(|track| entries.has_row(**track));
        let expected: Rows = with.into_iter().map(|track| (track, entries.row(track, 2))).collect();
        assert_eq!(seen.2, expected, "after {} edits", self.next);
        self.compared.push(expected.len());
        drop(seen);
        let every = without.len().div_ceil(WITHOUT_ROW).max(1);
        for track in without.into_iter().step_by(every) {
            assert_eq!(self.ask(track), entries.row(track, 1), "{track:?} after {} edits", self.next);
            self.asked += 1;
        }
    }

    /// The neighbours of a track that has no row.
    fn ask(&self, track: TrackId) -> (u32, Vec<(TrackId, u32)>) {
        let (to, told) = sync_channel(1);
        let question = Question::Neighbours { track, limit: RULES.keep as usize };
        let reply = Box::new(move |answer: Answer| to.send(answer).expect("the test waits for it"));
        self.engine.ask(question, reply).expect("it is not busy");
        let Body::Neighbours(Some(found)) = told.recv().expect("an answer").body else {
            panic!("no {track:?}")
        };
        assert_eq!(found.graph, None, "{track:?} has no row");
        (found.sampled, found.neighbours.iter().map(|n| (TrackId::of(&n.track.uri), n.shared)).collect())
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
        let mut feeder = Feeder { engine, watch, twin, next: 0, batch, compared, asked: 0 };
        let flow = Reader::new().read_all(&find(std::slice::from_ref(&path)).expect("a source"), &mut feeder);
        assert!(flow.is_continue());
        feeder.flush();
        feeder.compare();
        assert_eq!((feeder.next, feeder.compared.len()), (EDITS, 11));
        assert!(feeder.compared.iter().sum::<usize>() > 3_000, "{:?}", feeder.compared);
        assert!(feeder.asked > 10 * WITHOUT_ROW / 2, "{} tracks without a row", feeder.asked);
        let (stats, _) = feeder.engine.graph();
        assert!(stats.notes.load(std::sync::atomic::Ordering::Relaxed) > 10_000, "{stats:?}");
        feeder.engine.stop().expect("no worker panics");
    }
}
