//! Snapshots: whole ones and changes, put together again on any number of workers, are the state at their
//! offsets; and a history goes on from them as if nothing had been.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::apply::Totals;
use segue_dataflow::catalogue::TrackRecord;
use segue_dataflow::day::Day;
use segue_dataflow::edit::Edit;
use segue_dataflow::event::Event;
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{Body, Question};
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::snapshot::{Malformed, Playlists, Restored, Snapshot, Tracks};
use segue_dataflow::workers::{Answers, Batch, Engine};

use crate::history::{World, history, questions};
use crate::twin::{Rows, Twin, assert_same};
use crate::workers::{ask, start, start_with};

/// URI, title, tracks, and their days.
type KeptPlaylist = (String, Option<String>, Vec<TrackId>, Vec<Day>);

/// What a store has of snapshots, the later ones over the earlier.
#[derive(Clone, Default)]
struct Kept {
    epoch: u64,
    next: Vec<u64>,
    totals: Totals,
    playlists: BTreeMap<PlaylistId, KeptPlaylist>,
    tracks: BTreeMap<TrackId, TrackRecord>,
}

impl Kept {
    fn add(&mut self, snapshot: &Snapshot) {
        if snapshot.is_whole() {
            *self = Kept::default();
        }
        (self.epoch, self.next, self.totals) =
            (snapshot.as_of(), snapshot.next().to_vec(), snapshot.totals());
        let (mut last_playlist, mut last_track) = (None, None);
        let done: Result<(), Infallible> = snapshot.playlists(|id, playlist, tracks, days| {
            assert!(last_playlist.replace(id).is_none_or(|last| last < id), "in the order of ids");
            match playlist {
                Some(p) => {
                    assert_eq!((PlaylistId::of(&p.uri), p.entries as usize), (id, tracks.len()));
                    let title = p.title.as_deref().map(str::to_owned);
                    let (tracks, days) = (tracks.to_vec(), days.to_vec());
                    self.playlists.insert(id, (p.uri.to_string(), title, tracks, days));
                }
                None => drop(self.playlists.remove(&id)),
            }
            Ok(())
        });
        done.expect("infallible");
        let done: Result<(), Infallible> = snapshot.tracks(|id, track| {
            assert!(last_track.replace(id).is_none_or(|last| last < id), "in the order of ids");
            match track {
                Some(track) => drop(self.tracks.insert(id, track.clone())),
                None => drop(self.tracks.remove(&id)),
            }
            Ok(())
        });
        done.expect("infallible");
    }

    fn restored(&self, workers: usize) -> Restored {
        let (mut playlists, mut tracks) = (Playlists::new(workers), Tracks::new(workers));
        self.tracks.values().for_each(|track| tracks.add(track));
        // As layers come: not in the order of ids.
        for (uri, title, tracks, days) in self.playlists.values().rev() {
            playlists.add(uri, title.as_deref(), tracks, days).expect("in order");
        }
        playlists.newest(&self.totals.newest);
        let restored = Restored::new(self.epoch, self.next.clone(), playlists, tracks);
        let restored = restored.expect("all tracks are known");
        assert_eq!(restored.totals(), self.totals);
        restored
    }
}

fn feed(engine: &Engine, events: &[Event<'static>], from: u64, to: u64) {
    let edits = (from..to).map(|seq| Edit::new(seq, &events[seq as usize])).collect();
    engine.feed(Batch { edits, partition: 0, next: to }).expect("running");
}

fn equals_twin(engine: &Engine, events: &[Event<'static>], questions: &[Question], at: &str) {
    let mut twin = Twin::default();
    events.iter().for_each(|event| twin.apply(event));
    let (to, told) = sync_channel(1);
    for question in questions {
        ask(engine, question.clone(), &to);
        let answer = told.recv_timeout(Duration::from_secs(60)).expect("an answer");
        assert_eq!(answer.next, [events.len() as u64], "{at}");
        let twin = twin.answer(question, &Settings::default());
        assert_same(&answer.body, &twin, &format!("{at}, {question:?}"));
    }
}

/// Feeds, takes snapshots in between without waiting, keeps most of them, and now and then begins again from
/// what is kept, on another number of workers.
#[test]
fn a_history_goes_on_from_any_snapshot() {
    let world = World { playlists: 40, tracks: 120, epochs: 500, fixed_names: false };
    let (mut compared, mut parts) = (0, 0);
    for seed in 0..12 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let events: Vec<_> = history(seed, world).into_iter().flat_map(|epoch| epoch.events).collect();
        let mut kept = Kept::default();
        let (mut engine, mut watch) = start(1 + seed as usize % 3, Answers::Readers(1), None);
        let mut next = 0;
        while next < events.len() as u64 {
            let to = (next + rng.random_range(1..60)).min(events.len() as u64);
            feed(&engine, &events, next, to);
            next = to;
            if rng.random_bool(0.3) {
                // As-of whatever is complete just now, or a step that ends soon.
                let snapshot = engine
                    .snapshot(rng.random_bool(0.2), Duration::from_millis(rng.random_range(0..4)))
                    .expect("running");
                if rng.random_bool(0.8) {
                    parts += usize::from(!snapshot.is_whole());
                    kept.add(&snapshot);
                    snapshot.keep();
                }
            }
            if rng.random_bool(0.1) && kept.next.len() == 1 {
                engine.stop().expect("no worker panics");
                let workers = [1, 2, 4][rng.random_range(0..3)];
                (engine, watch) = start(workers, Answers::Readers(1), Some(kept.restored(workers)));
                next = kept.next[0];
                let progress = watch.wait(0, next);
                assert!(progress.as_of > kept.epoch);
                let at = format!("seed {seed}, {workers} workers, {next} events");
                let asked = questions(&mut rng, world);
                equals_twin(&engine, &events[..next as usize], &asked, &at);
                compared += asked.len();
            }
        }
        watch.wait(0, next);
        equals_twin(&engine, &events, &questions(&mut rng, world), &format!("seed {seed}, the end"));
        engine.stop().expect("no worker panics");
    }
    assert!(compared > 1_000 && parts > 20, "{compared} compared, {parts} parts");
}

/// While more comes all the time, a snapshot that waits is as-of a step of the graph: entries and rows are those of
/// the events before its offset.
#[test]
fn a_snapshot_beside_a_stream_has_rows() {
    let world = World { playlists: 40, tracks: 60, epochs: 200, fixed_names: false };
    let neighbours = Neighbours { sample: 4, keep: 5, min_support: 2, grid_ms: 3, burst: 1_000 };
    let settings = Settings { neighbours, ..Settings::default() };
    for workers in [1, 2, 4] {
        let events: Vec<_> = history(3, world).into_iter().flat_map(|epoch| epoch.events).collect();
        let (engine, watch) = start_with(settings, workers, Answers::Readers(1), None);
        let done = AtomicBool::new(false);
        let take = || {
            let snapshot = engine.snapshot(true, Duration::from_secs(60)).expect("running");
            let (mut rows, mut entries) = (Rows::new(), BTreeSet::new());
            let told: Result<_, Infallible> = snapshot.rows(|track, row| {
                rows.insert(track, (row.sampled(), row.neighbours().collect()));
                Ok(())
            });
            assert_eq!(told.expect("infallible"), Some(neighbours.of_rows()));
            let told: Result<(), Infallible> = snapshot.playlists(|id, _, tracks, _| {
                entries.extend(tracks.iter().map(|track| (id, *track)));
                Ok(())
            });
            told.expect("infallible");
            (snapshot.next()[0], rows, entries)
        };
        let taken: Vec<_> = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut next = 0;
                while !done.load(Ordering::SeqCst) {
                    let edits =
                        (next..next + 5).zip(events.iter().cycle().skip(next as usize % events.len()));
                    let edits = edits.map(|(seq, event)| Edit::new(seq, event)).collect();
                    next += 5;
                    engine.feed(Batch { edits, partition: 0, next }).expect("running");
                    watch.wait(0, next.saturating_sub(20));
                }
            });
            watch.wait(0, 200);
            let mut taken = vec![take()];
            // Some are as-of the same step.
            while taken.len() < 8 {
                taken.push(take());
                taken.dedup_by_key(|(next, ..)| *next);
            }
            done.store(true, Ordering::SeqCst);
            taken
        });
        engine.stop().expect("no worker panics");
        let (mut twin, mut next) = (Twin::default(), 0);
        let mut all = events.iter().cycle();
        for (to, rows, entries) in taken {
            all.by_ref().take((to - next) as usize).for_each(|event| twin.apply(event));
            next = to;
            assert_eq!(entries, twin.entries(), "{workers} workers, {to} events");
            assert_eq!(rows, twin.rows(&neighbours), "{workers} workers, {to} events");
        }
    }
}

#[test]
fn a_state_of_long_playlists_comes_back() {
    let long = |n: u32| (0..3_000).map(move |i| TrackId::of(&crate::history::track((n * 37 + i) % 7_000)));
    let (mut playlists, mut tracks) = (Playlists::new(2), Tracks::new(2));
    (0..7_000).for_each(|n| {
        tracks.add(&TrackRecord { uri: crate::history::track(n).into(), ..TrackRecord::default() });
    });
    for n in 0..400 {
        let mut tracks: Vec<_> = if n % 3 == 0 { Vec::new() } else { long(n).collect() };
        tracks.sort_unstable();
        playlists.add(&crate::history::playlist(n), Some("chill"), &tracks, &[]).expect("in order");
    }
    let restored = Restored::new(9, vec![3, 4], playlists, tracks).expect("all tracks are known");
    let totals = restored.totals();
    let (engine, watch) = start(2, Answers::Readers(1), Some(restored));
    watch.wait(1, 4);
    let (to, told) = sync_channel(1);
    ask(&engine, Question::State, &to);
    let answer = told.recv_timeout(Duration::from_secs(60)).expect("an answer");
    let Body::State(state) = answer.body else { panic!("{answer:?}") };
    assert_eq!((state.playlists, state.entries, state.digest), (400, totals.entries, totals.digest));
    assert_eq!((state.tracks, answer.next), (7_000, vec![3, 4]));
    let mut entries = 0;
    let done: Result<(), Infallible> =
        engine.snapshot(true, Duration::ZERO).expect("running").playlists(|_, _, tracks, _| {
            entries += tracks.len() as u64;
            Ok(())
        });
    done.expect("infallible");
    assert_eq!(entries, totals.entries);
    engine.stop().expect("no worker panics");
}

#[test]
fn what_is_no_state_is_refused() {
    let mut playlists = Playlists::new(1);
    let (a, b) = (TrackId(1), TrackId(2));
    assert_eq!(playlists.add("p", None, &[b, a], &[]), Err(Malformed::Disorder("p".into())));
    assert_eq!(playlists.add("q", None, &[a, a], &[]), Err(Malformed::Disorder("q".into())));
    playlists.add("r", None, &[a], &[]).expect("in order");
    assert_eq!(Restored::new(1, vec![], playlists, Tracks::new(1)).err(), Some(Malformed::Unknown(a)));
}
