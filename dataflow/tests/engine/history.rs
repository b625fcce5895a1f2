//! Seeded random histories, and a run of one through the engine.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::edit::Edit;
use segue_dataflow::engine::Dataflow;
use segue_dataflow::event::{Change, Event, Named, Track};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{Answer, Board, Query, Question, Recommend, Seeds};
use segue_dataflow::settings::{Curve, Neighbours, Recommend as RecommendKnobs, Settings, Trending};

use crate::spread::Spread;

/// The events of one epoch, and what is asked as-of it.
#[derive(Clone, Default)]
pub struct Epoch {
    pub events: Vec<Event<'static>>,
    pub questions: Vec<Question>,
}

/// How large the world of a history is.
#[derive(Clone, Copy)]
pub struct World {
    pub playlists: u32,
    pub tracks: u32,
    pub epochs: usize,
    /// Whether each track has the same names wherever it is named.
    pub fixed_names: bool,
}

pub fn playlist(n: u32) -> String {
    format!("p:{n}")
}

pub fn track(n: u32) -> String {
    format!("t:{n}")
}

const TITLES: [&str; 8] =
    ["Chill", "chill!", "Chill Hits", "The Gym", "the gym's HITS of ’16", "🔥", "🔥 🔥", ""];

/// Few playlists and tracks, so that everything collides: duplicates, add and remove in one epoch,
/// re-adds, puts over puts, one hot track, renames, deletions, empty epochs.
pub fn history(seed: u64, world: World) -> Vec<Epoch> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..world.epochs)
        .map(|epoch| {
            let events = [0, 1, 1, 3, 12][rng.random_range(0..5)];
            let events =
                (0..events).map(|_| Event { at_ms: at_ms(&mut rng, epoch), ..event(&mut rng, world) });
            let events = events.collect();
            Epoch { events, questions: questions(&mut rng, world) }
        })
        .collect()
}

fn some_track(rng: &mut ChaCha8Rng, world: World) -> u32 {
    if rng.random_bool(0.15) { 0 } else { rng.random_range(0..world.tracks) }
}

fn named_track(rng: &mut ChaCha8Rng, world: World) -> Track<'static> {
    let n = some_track(rng, world);
    let mut track = Track::new(track(n));
    let variant = if world.fixed_names { 0 } else { rng.random_range(0..4) };
    if world.fixed_names || rng.random_bool(0.3) {
        track.name = Some(format!("name {n} {variant}").into());
    }
    if world.fixed_names || rng.random_bool(0.2) {
        let name = Some(format!("artist {variant}").into());
        track.artist = Some(Named { uri: format!("a:{}", n % 5).into(), name });
    }
    if !world.fixed_names && rng.random_bool(0.1) {
        track.album = Some(Named { uri: format!("b:{variant}").into(), name: None });
        track.duration_ms = Some(n * 1000 + variant);
    }
    track
}

pub fn event(rng: &mut ChaCha8Rng, world: World) -> Event<'static> {
    let playlist = playlist(rng.random_range(0..world.playlists)).into();
    let title = TITLES[rng.random_range(0..TITLES.len())];
    let change = match rng.random_range(0..100) {
        0..45 => Change::TrackAdded { playlist, track: named_track(rng, world) },
        45..70 => Change::TrackRemoved { playlist, track: track(some_track(rng, world)).into() },
        70..80 => {
            let tracks = (0..rng.random_range(0..15)).map(|_| named_track(rng, world)).collect();
            let title = rng.random_bool(0.5).then(|| title.into());
            Change::PlaylistPut { playlist, title, tracks }
        }
        80..87 => Change::PlaylistTitled { playlist, title: title.into() },
        87..93 => Change::PlaylistDeleted { playlist },
        93..97 => Change::TrackDescribed { track: named_track(rng, world) },
        _ => Change::TrackForgotten { track: track(some_track(rng, world)).into() },
    };
    Event { at_ms: 0, change }
}

/// A day lasts eight epochs. Some events are late, even by more than is kept, some early, some without a day; and in
/// most histories there are some, though not always three, from a clock that is years ahead.
fn at_ms(rng: &mut ChaCha8Rng, epoch: usize) -> i64 {
    let today = 20 + epoch as i64 / 8;
    let day = match rng.random_range(0..1000) {
        0..20 => 0,
        20..22 => 2_000,
        22..300 => today - rng.random_range(0..14),
        300..350 => today + rng.random_range(0..3),
        _ => today,
    };
    day * 86_400_000 + rng.random_range(0..86_400_000)
}

/// The state, every playlist, and a handful of everything else, known or not.
pub fn questions(rng: &mut ChaCha8Rng, world: World) -> Vec<Question> {
    let any_track = |rng: &mut ChaCha8Rng| TrackId::of(&track(rng.random_range(0..world.tracks + 5)));
    let (limit, days) = (rng.random_range(0..50), rng.random_range(1..=5));
    let mut all = vec![Question::State, Question::Popular { limit }, Question::Trending { days, limit }];
    all.extend((0..world.playlists).map(|n| Question::Playlist(PlaylistId::of(&playlist(n)))));
    for _ in 0..3 {
        all.push(Question::Track(any_track(rng)));
        all.push(Question::Neighbours { track: any_track(rng), limit: rng.random_range(0..30) });
        let track = any_track(rng);
        let with = if rng.random_bool(0.1) { track } else { any_track(rng) };
        all.push(Question::Pair { track, with });
        all.push(Question::Recommend(recommend(rng, world)));
    }
    all
}

fn recommend(rng: &mut ChaCha8Rng, world: World) -> Recommend {
    let any_track = |rng: &mut ChaCha8Rng| TrackId::of(&track(rng.random_range(0..world.tracks + 5)));
    let seeds = match rng.random_range(0..10) {
        0..3 => Seeds::Playlist(PlaylistId::of(&playlist(rng.random_range(0..world.playlists + 1)))),
        // Enough of them to be told apart, now and then.
        few => {
            let most = if few == 9 { world.tracks } else { 6 };
            Seeds::Tracks((0..rng.random_range(0..=most)).map(|_| any_track(rng)).collect())
        }
    };
    let title = TITLES[rng.random_range(0..TITLES.len())];
    Recommend {
        title: rng.random_bool(0.5).then(|| title.into()),
        random_seeds: rng.random_bool(0.3),
        exclude: (0..rng.random_range(0..3)).map(|_| any_track(rng)).collect(),
        max_per_artist: rng.random_bool(0.3).then(|| rng.random_range(1..4)),
        explain: rng.random_bool(0.5),
        knobs: rng.random_bool(0.1).then(|| Box::new(RecommendKnobs::plain())),
        ..Recommend::new(seeds, rng.random_range(0..60))
    }
}

/// Knobs so small that samples are halved and doubled and lists are cut.
pub fn settings(seed: u64) -> Settings {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5e77);
    let [few, many] = [1, 4].map(|seeds| (seeds, f64::from(1 + rng.next_u32() % 6)));
    let [none, some, more] = [0, 1, 3].map(|seeds| (seeds, f64::from(rng.next_u32() % 8)));
    let recommend = RecommendKnobs {
        sample: Curve::new(&[few, many]).expect("ascending"),
        nearest: 1 + rng.next_u32() % 8,
        titled: Curve::new(&[none, some, more]).expect("ascending"),
        decorrelate_from: [3, 10][(rng.next_u32() % 2) as usize],
        thin: rng.next_u32() % 8,
        large_from: 6,
        artist_fill: rng.next_u32() % 6,
        ..RecommendKnobs::default()
    };
    let (sample, keep) = (1 + rng.next_u32() % 6, 1 + rng.next_u32() % 20);
    let (min_support, grid_ms) = ([2, 3, 50][rng.random_range(0..3)], 1 + rng.next_u64() % 4);
    let neighbours = Neighbours { sample, keep, min_support, grid_ms, ..Neighbours::default() };
    Settings { recommend, neighbours, trending: Trending { keep_days: 10 } }
}

/// The same where no track has a row, so that an answer depends on nothing but what it is as-of.
pub fn settings_without_rows(seed: u64) -> Settings {
    let Settings { neighbours, .. } = settings(seed);
    Settings { neighbours: Neighbours { min_support: u32::MAX, ..neighbours }, ..settings(seed) }
}

/// What came of a run.
#[derive(Default)]
pub struct Answered {
    /// By (epoch, question), both counted from 0.
    pub asked: BTreeMap<(usize, usize), Answer>,
    /// What a reader on another thread was told meanwhile.
    pub read: Vec<(Question, Answer)>,
}

/// Reads from the board until it is closed, as fast as it can.
fn read(board: &Arc<Board>, questions: &[Question]) -> Vec<(Question, Answer)> {
    let mut read = Vec::new();
    for question in questions.iter().cycle() {
        match board.answer(question.clone()) {
            Some(answer) => read.push((question.clone(), answer)),
            None => break,
        }
    }
    read
}

/// Runs a history, several epochs in flight at a time, so that batches cover many and reads must filter by time.
pub fn run(history: &[Epoch], spread: Spread, seed: u64, settings: Settings) -> Answered {
    let boards = spread.boards(settings);
    let [board] = &boards[..] else {
        // A reader of one board would see what one process has.
        return Answered { asked: ask(history, spread, seed, settings, &boards), read: Vec::new() };
    };
    let questions: Vec<Question> = history.iter().flat_map(|epoch| epoch.questions.clone()).collect();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(board, &questions));
        let asked = ask(history, spread, seed, settings, &boards);
        // So many were answered only if the last epoch was shown.
        let last = board.answer(Question::State);
        board.close();
        let mut read = reader.join().expect("the reader does not panic");
        read.extend(last.map(|answer| (Question::State, answer)));
        Answered { asked, read }
    })
}

fn ask(
    history: &[Epoch],
    spread: Spread,
    seed: u64,
    settings: Settings,
    boards: &[Arc<Board>],
) -> BTreeMap<(usize, usize), Answer> {
    let answers = Arc::new(Mutex::new(BTreeMap::new()));
    let (collected, history) = (Arc::clone(&answers), history.to_vec());
    let boards = boards.to_vec();
    spread.run(move |worker, process| {
        let refused: segue_dataflow::engine::Refused = Rc::new(|seq, why| panic!("refused {seq}: {why}"));
        let mut dataflow = Dataflow::new(worker, spread.workers, settings, &refused, &boards[process], true);
        let (me, peers) = (worker.index(), worker.peers());
        let mut pace = ChaCha8Rng::seed_from_u64(seed + 1);
        let (mut seq, mut asked) = (0, Vec::new());
        for (epoch, Epoch { events, questions }) in history.iter().enumerate() {
            dataflow.advance(epoch as u64 + 1);
            for event in events {
                if me == 0 {
                    dataflow.feed(Edit::new(seq, event));
                }
                seq += 1;
            }
            for (number, question) in questions.iter().enumerate().filter(|(number, _)| number % peers == me)
            {
                asked.push((epoch, number));
                dataflow.ask(Query { id: asked.len() as u64 - 1, question: question.clone() });
            }
            match pace.random_range(0..4) {
                0 => {
                    dataflow.advance(epoch as u64 + 2);
                    while !dataflow.is_complete(epoch as u64 + 1) {
                        worker.step_or_park(None);
                    }
                    dataflow.show(epoch as u64 + 1, |_, _| {});
                    dataflow.show_graph(epoch as u64 + 1, drop);
                }
                1 => drop(worker.step()),
                _ => {}
            }
            // `advance` above may already have opened the next epoch.
        }
        dataflow.advance(history.len() as u64 + 2);
        while !dataflow.is_complete(history.len() as u64 + 1) {
            worker.step_or_park(None);
        }
        dataflow.show(history.len() as u64 + 1, |_, _| {});
        let mut collected = collected.lock().expect("no panic holds it");
        while let Some((id, answer)) = dataflow.take_answer() {
            let twice = collected.insert(asked[id as usize], answer);
            assert!(twice.is_none(), "answered twice: {:?}", asked[id as usize]);
        }
    });
    std::mem::take(&mut answers.lock().expect("no panic holds it"))
}
