//! A playlist of 13,000 tracks comes to a graph with rows, is edited, one track and many at a time, and goes: the rows
//! are those of a twin all along, and an edit of it costs a note to each row, not a count.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::edit::Edit;
use segue_dataflow::event::{Change, Event, Track};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::neighbours::GraphStep;
use segue_dataflow::sample;
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::workers::{Answers, Batch, Engine, Observer, Options, Progress};

use crate::history::track;
use crate::twin::{Rows, Twin};

const HUGE: u32 = 13_000;
/// Other tracks, that some of the small playlists hold.
const OTHERS: u32 = 500;
const SMALL: u32 = 60;

/// Puts the rows together from what the steps change.
#[derive(Default)]
struct Watch {
    /// As-of, the newest step, the rows.
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
    /// The rows, once they include all events before `next`.
    fn rows(&self, next: u64) -> Rows {
        let wait = |behind: &dyn Fn(&(Progress, u64, Rows)) -> bool| {
            let seen = self.seen.lock().expect("no panic holds it");
            let waited = self.news.wait_timeout_while(seen, Duration::from_secs(120), |seen| behind(seen));
            let (seen, timeout) = waited.expect("no panic holds it");
            assert!(!timeout.timed_out(), "as-of {:?}, the graph as-of {}, not {next}", seen.0, seen.1);
            (seen.0.as_of, seen.2.clone())
        };
        let (as_of, _) = wait(&|(progress, ..)| progress.next.first().is_none_or(|there| *there < next));
        wait(&|(_, graph, _)| *graph < as_of).1
    }
}

/// The rows from scratch. What is in one playlist only shares no two, so it is not looked at.
fn rows(twin: &Twin, rules: &Neighbours) -> Rows {
    let (mut playlists, mut holders) = <(HashMap<_, Vec<_>>, BTreeMap<_, Vec<_>>)>::default();
    for (playlist, track) in twin.entries() {
        holders.entry(track).or_default().push(playlist);
    }
    for (track, holders) in holders.iter().filter(|(_, holders)| holders.len() > 1) {
        holders.iter().for_each(|playlist| playlists.entry(*playlist).or_default().push(*track));
    }
    holders.retain(|_, holders| holders.len() >= rules.min_support as usize);
    let row = |(track, holders): (TrackId, Vec<PlaylistId>)| {
        let last = sample::last(sample::level(holders.len() as u32, rules.sample));
        let sampled: Vec<_> = holders.into_iter().filter(|playlist| playlist.0 <= last).collect();
        let mut shared: HashMap<TrackId, u32> = HashMap::new();
        let others = sampled.iter().filter_map(|playlist| playlists.get(playlist)).flatten();
        others.filter(|other| **other != track).for_each(|other| *shared.entry(*other).or_default() += 1);
        let mut best: Vec<_> = shared.into_iter().filter(|(_, shared)| *shared > 1).collect();
        best.sort_by_key(|(other, shared)| (Reverse(*shared), *other));
        best.truncate(rules.keep as usize);
        (track, (sampled.len() as u32, best))
    };
    holders.into_iter().map(row).collect()
}

/// An engine and its twin.
struct Pair {
    engine: Engine,
    watch: Arc<Watch>,
    twin: Twin,
    rules: Neighbours,
    next: u64,
}

impl Pair {
    fn new(workers: usize, rules: Neighbours) -> Self {
        let watch = Arc::new(Watch::default());
        let options = Options {
            workers,
            epoch_gap: Duration::from_millis(1),
            heartbeat: Duration::from_secs(1),
            settings: Settings { neighbours: rules, ..Settings::default() },
            answers: Answers::Workers,
        };
        let began = Instant::now();
        let clock = Arc::new(move || 1 + began.elapsed().as_millis() as u64);
        let engine = Engine::start(options, clock, Arc::clone(&watch) as _, None).expect("it starts");
        Pair { engine, watch, twin: Twin::default(), rules, next: 0 }
    }

    /// Feeds these, all at once, and compares all rows when they are in; gives how many rows there are, how many notes
    /// they took, and how many were counted anew.
    fn feed(&mut self, changes: Vec<Change<'static>>) -> [usize; 3] {
        let (stats, _) = self.engine.graph();
        let did = || [stats.notes.load(Relaxed) as usize, stats.recounts.load(Relaxed) as usize];
        let before = did();
        let mut batch = Batch::default();
        for change in changes {
            let event = Event { at_ms: 0, change };
            batch.edits.push(Edit::new(self.next, &event));
            self.twin.apply(&event);
            self.next += 1;
        }
        batch.next = self.next;
        self.engine.feed(batch).expect("it runs");
        let (found, expected) = (self.watch.rows(self.next), rows(&self.twin, &self.rules));
        assert_eq!(found.len(), expected.len(), "{:?}, before event {}", self.rules, self.next);
        assert!(found == expected, "{:?}, before event {}", self.rules, self.next);
        let [notes, recounts] = did();
        [found.len(), notes - before[0], recounts - before[1]]
    }
}

fn put(playlist: &str, tracks: impl Iterator<Item = u32>) -> Change<'static> {
    let tracks = tracks.map(|n| Track::new(track(n))).collect();
    Change::PlaylistPut { playlist: playlist.to_owned().into(), title: None, tracks }
}

fn add(n: u32) -> Change<'static> {
    Change::TrackAdded { playlist: "p:huge".into(), track: Track::new(track(n)) }
}

fn remove(n: u32) -> Change<'static> {
    Change::TrackRemoved { playlist: "p:huge".into(), track: track(n).into() }
}

/// All of it; gives how many rows there were with the huge playlist.
fn comes_is_edited_and_goes(workers: usize, rules: Neighbours) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let mut pair = Pair::new(workers, rules);
    // Twelve tracks are on many of the small playlists, so that their samples are halved.
    let mut small = |n| {
        let some = (0..40).map(|_| rng.random_range(0..HUGE + OTHERS)).chain(0..12);
        put(&format!("p:{n}"), some.collect::<Vec<_>>().into_iter())
    };
    let smalls = (0..SMALL).map(&mut small).collect();
    let [before, ..] = pair.feed(smalls);
    let [rows, ..] = pair.feed(vec![put("p:huge", 0..HUGE)]);
    assert!(rows > before + 1_000, "{before} and {rows} rows");
    // One at a time: what many playlists have, back and forth, and what no other has.
    for (change, is_shared) in [(remove(3), true), (remove(5), true), (add(3), true), (add(99_999), false)] {
        let [rows, notes, recounts] = pair.feed(vec![change]);
        assert_eq!(notes > rows / 2, is_shared, "{notes} notes to {rows} rows");
        assert!(recounts < rows / 10, "{recounts} of {rows} rows counted");
    }
    // As many as become notes, and more than that.
    let [rows, notes, recounts] = pair.feed((100..250).map(remove).collect());
    assert!(notes > 50 * rows && recounts < rows, "{notes} notes, {recounts} of {rows} rows counted");
    let [rows, _, recounts] = pair.feed((100..250).map(add).chain((300..600).map(remove)).collect());
    assert!(recounts > rows / 2, "{recounts} of {rows} rows counted");
    // Small ones change beside it, which holds what they hold; then it is another one; then it is gone.
    pair.feed((0..SMALL / 2).map(&mut small).collect());
    pair.feed(vec![put("p:huge", 500..HUGE + OTHERS)]);
    pair.feed(vec![add(0), Change::PlaylistDeleted { playlist: "p:0".into() }]);
    let [after, ..] = pair.feed(vec![Change::PlaylistDeleted { playlist: "p:huge".into() }]);
    assert!(after < rows - 1_000 && after > 10, "{after} of {rows} rows");
    pair.engine.stop().expect("no worker panics");
    rows
}

const RULES: Neighbours = Neighbours { sample: 4, keep: 10, min_support: 2, grid_ms: 5, burst: 20_000 };

#[test]
fn tracks_on_two_playlists_have_rows() {
    for workers in [1, 2, 4] {
        comes_is_edited_and_goes(workers, RULES);
    }
}

#[test]
fn every_track_of_it_has_a_row() {
    let rows = comes_is_edited_and_goes(2, Neighbours { min_support: 1, sample: 1, ..RULES });
    assert!(rows > HUGE as usize - 500, "{rows} rows");
}
