//! The parts of the engine, each beside what it replaces where there is such a thing: `make bench`.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::digest::Digest;
use segue_dataflow::edit::Edit;
use segue_dataflow::engine::{Dataflow, Refused};
use segue_dataflow::event::{Change, Event, Track, decode};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{Board, Tally};
use segue_dataflow::scoring::best;
use segue_dataflow::settings::Settings;
use timely::worker::Worker;

/// Entries of a mean playlist of the Million Playlist Dataset.
const ENTRIES: usize = 66;

fn put(dice: &mut ChaCha8Rng, n: u32) -> Event<'static> {
    let track =
        |dice: &mut ChaCha8Rng| Track::new(format!("spotify:track:{:022}", dice.random_range(0..50_000)));
    let tracks = (0..ENTRIES).map(|_| track(dice)).collect();
    let playlist = format!("mpd:playlist:{n}").into();
    Event { at_ms: 0, change: Change::PlaylistPut { playlist, title: Some("Road Trip".into()), tracks } }
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("an event of 66 tracks");
    let json = put(&mut ChaCha8Rng::seed_from_u64(1), 7).to_json();
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("decode", |b| b.iter(|| decode(black_box(json.as_bytes()))));
    group.bench_function("serde_json::Value, for comparison", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(json.as_bytes())));
    });
    let event = decode(json.as_bytes()).expect("an event");
    group.bench_function("to an edit", |b| b.iter(|| Edit::new(0, black_box(&event))));
    group.bench_function("digest", |b| {
        b.iter(|| {
            let mut digest = Digest::default();
            (0..ENTRIES as u64).for_each(|n| digest.update(PlaylistId(7), TrackId(n), 1));
            digest
        });
    });
    group.finish();
}

fn sums(criterion: &mut Criterion) {
    let mut dice = ChaCha8Rng::seed_from_u64(2);
    let ids: Vec<u64> = (0..20_000).map(|_| dice.random()).collect();
    let votes: Vec<(u64, i64)> = (0..45_000).map(|n| (ids[dice.random_range(0..ids.len())], n)).collect();
    let mut group = criterion.benchmark_group("votes of 500 playlists");
    group.throughput(Throughput::Elements(votes.len() as u64));
    group.bench_function("tally", |b| {
        b.iter(|| {
            Tally::with(ids.len(), |tally| {
                votes.iter().for_each(|(id, vote)| tally.add(*id, *vote));
                tally.iter().count()
            })
        });
    });
    group.bench_function("hash map, for comparison", |b| {
        b.iter(|| {
            let mut sums: HashMap<u64, i64, rustc_hash::FxBuildHasher> = HashMap::default();
            votes.iter().for_each(|(id, vote)| *sums.entry(*id).or_default() += vote);
            sums.len()
        });
    });
    let all: Vec<(u64, u64)> = ids.iter().map(|id| (*id, id >> 40)).collect();
    group.bench_function("the best 100 of 20,000", |b| {
        b.iter_batched(|| all.clone(), |all| best(all, 100), BatchSize::LargeInput);
    });
    group.finish();
}

/// One event through the whole dataflow of one worker, over 2,000 playlists.
fn apply(criterion: &mut Criterion) {
    let thread = timely::communication::Allocator::Thread(Default::default());
    let mut worker = Worker::new(timely::WorkerConfig::default(), thread, Some(Instant::now()));
    let refused: Refused = std::rc::Rc::new(|_, _| {});
    let board = Arc::new(Board::new(1, Settings::default()));
    let mut dataflow = Dataflow::new(&mut worker, 1, Settings::default(), &refused, &board, true);
    let (mut dice, mut seq, mut epoch) = (ChaCha8Rng::seed_from_u64(3), 0, 1);
    dataflow.advance(1);
    for n in 0..2_000 {
        dataflow.feed(Edit::new(seq, &put(&mut dice, n)));
        seq += 1;
    }
    criterion.bench_function("one addition, an epoch of its own, until complete", |b| {
        b.iter(|| {
            let playlist = format!("mpd:playlist:{}", dice.random_range(0..2_000)).into();
            let track = Track::new(format!("spotify:track:{:022}", dice.random_range(0..50_000)));
            let event = Event { at_ms: 0, change: Change::TrackAdded { playlist, track } };
            dataflow.feed(Edit::new(seq, &event));
            (seq, epoch) = (seq + 1, epoch + 1);
            dataflow.advance(epoch);
            while !dataflow.is_complete(epoch - 1) {
                worker.step();
            }
            dataflow.show(epoch - 1, |_, _| {});
            dataflow.show_graph(epoch - 1, |_| {});
        });
    });
}

criterion_group!(parts, events, sums, apply);
criterion_main!(parts);
