//! Random histories: every view and every answer equals the twin's at every epoch, on 1, 2 and 4 workers and on
//! several processes, however the events are cut into epochs.

use std::collections::BTreeMap;

use crate::history::{Answered, Epoch, World, history, run, settings, settings_without_rows};
use crate::many_seeds::MANY;
use crate::one_artist::ONE;
use crate::seen::Seen;
use crate::spread::Spread;
use crate::twin::{Rows, Twin, assert_same};
use segue_dataflow::event::{Change, Event, Track};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{Answer, Body, Question, Recommend, Seeds};
use segue_dataflow::settings::Settings;

/// The graph's rows, by the epochs as-of which they may be exact.
type Steps = BTreeMap<u64, Rows>;

/// What is to be answered: from a row, where that is where the answer is from.
fn expected(twin: &Twin, question: &Question, answer: &Answer, steps: &Steps, settings: &Settings) -> Body {
    if let Question::Neighbours { track, limit } = question
        && let Some(step) = from_row(answer)
    {
        assert!(step <= answer.as_of, "{step}, as-of {}", answer.as_of);
        let row = steps.get(&step).and_then(|rows| rows.get(track));
        return Body::Neighbours(row.and_then(|row| twin.listed(*track, *limit, row, Some(step))));
    }
    twin.answer(question, settings)
}

/// The step of the graph that an answer is from.
fn from_row(answer: &Answer) -> Option<u64> {
    if let Body::Neighbours(Some(found)) = &answer.body { found.graph } else { None }
}

/// Compares every answer with the twin's; tells how many there were, and what has happened.
pub fn equals_twin(history: &[Epoch], spread: Spread, seed: u64) -> (usize, Seen) {
    let settings = settings(seed);
    let Answered { asked: answers, mut read } = run(history, spread, seed, settings);
    // A reader sees epoch 0, which is empty, or any later one. After the last nothing changes.
    read.sort_by_key(|(_, answer)| answer.as_of);
    let last = (spread.processes == 1).then_some(history.len() as u64 + 1);
    assert_eq!(read.last().map(|(_, answer)| answer.as_of), last);
    let mut read = read.into_iter().peekable();
    let (mut twin, mut compared, mut from_rows) = (Twin::default(), 0, 0);
    let mut steps = Steps::new();
    for (epoch, Epoch { events, questions }) in history.iter().enumerate() {
        events.iter().for_each(|event| twin.apply(event));
        let due = |as_of: &u64| as_of.is_multiple_of(settings.neighbours.grid_ms);
        let now = [epoch as u64 + 1, epoch as u64 + 2].into_iter().filter(due);
        now.for_each(|as_of| drop(steps.insert(as_of, twin.rows(&settings.neighbours))));
        for (number, question) in questions.iter().enumerate() {
            let at = format!("seed {seed}, {spread}, epoch {epoch}, {question:?}, {settings:?}");
            let answer = answers.get(&(epoch, number)).unwrap_or_else(|| panic!("no answer: {at}"));
            assert_eq!(answer.as_of, epoch as u64 + 1, "{at}");
            assert_same(&answer.body, &expected(&twin, question, answer, &steps, &settings), &at);
            compared += 1;
            from_rows += usize::from(from_row(answer).is_some());
        }
        let last = epoch + 1 == history.len();
        // Many ask the same, and the twin is slow.
        let mut told = BTreeMap::new();
        while let Some((question, answer)) =
            read.next_if(|(_, answer)| last || answer.as_of <= epoch as u64 + 1)
        {
            let asked = (format!("{question:?}"), from_row(&answer));
            let at = format!("seed {seed}, {spread}, read as-of {}, {asked:?}", answer.as_of);
            let expected =
                told.entry(asked).or_insert_with(|| expected(&twin, &question, &answer, &steps, &settings));
            assert_same(&answer.body, expected, &at);
            compared += 1;
            from_rows += usize::from(from_row(&answer).is_some());
        }
    }
    let mut seen = twin.seen();
    seen.insert("neighbours are from a row", from_rows);
    (compared, seen)
}

/// How many of the trending charts that are asked for have anything.
fn trending_charts(history: &[Epoch]) -> usize {
    let (mut twin, mut growing) = (Twin::default(), 0);
    for Epoch { events, questions } in history {
        events.iter().for_each(|event| twin.apply(event));
        for question in questions.iter().filter(|question| matches!(question, Question::Trending { .. })) {
            let answer = twin.answer(question, &Settings::default());
            growing += usize::from(matches!(answer, Body::Trending(found) if !found.chart.is_empty()));
        }
    }
    growing
}

fn histories_200_epochs(spread: Spread, seeds: std::ops::Range<u64>) {
    let world = World { playlists: 12, tracks: 40, epochs: 200, fixed_names: false };
    // The soak run takes its further seeds from a range of its own for each spread.
    let soak = if std::env::var_os("SEGUE_SOAK").is_some() { 0..300 } else { 0..0 };
    let further = soak.map(|seed| 1_000 * (10 * spread.processes + spread.workers) as u64 + seed);
    let (mut growing, mut all) = (0, Seen::new());
    for seed in seeds.chain(further) {
        let history = history(seed, world);
        growing += trending_charts(&history);
        let (compared, seen) = equals_twin(&history, spread, seed);
        assert!(compared > 4000, "{compared}");
        seen.into_iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
    }
    println!("{all:?}");
    all.retain(|what, _| !MANY.contains(what) && !ONE.contains(what));
    let rare: Vec<_> = all.iter().filter(|(_, times)| **times < 10).collect();
    assert!(all.len() > 15 && rare.is_empty(), "hardly ever: {rare:?}");
    assert!(growing > 1_000, "{growing} trending charts had anything");
}

#[test]
fn one_worker() {
    histories_200_epochs(Spread::threads(1), 0..15);
}

#[test]
fn two_workers() {
    histories_200_epochs(Spread::threads(2), 10..25);
}

#[test]
fn four_workers() {
    histories_200_epochs(Spread::threads(4), 20..35);
}

#[test]
fn two_processes() {
    histories_200_epochs(Spread::processes(2, 2), 30..45);
}

/// The same events, each an epoch of its own, all in one, and cut at random.
#[test]
fn the_cut_into_epochs_makes_no_difference() {
    let world = World { playlists: 12, tracks: 40, epochs: 300, fixed_names: false };
    for seed in 100..105 {
        let original = history(seed, world);
        let events: Vec<Event<'static>> = original.iter().flat_map(|epoch| epoch.events.clone()).collect();
        let questions = original.last().expect("not empty").questions.clone();
        let one_by_one = events.iter().map(|event| Epoch { events: vec![event.clone()], questions: vec![] });
        let mut cuts: Vec<Vec<Epoch>> =
            vec![one_by_one.collect(), vec![Epoch { events, questions: vec![] }], original];
        let mut twin = Twin::default();
        cuts[2].iter().flat_map(|epoch| &epoch.events).for_each(|event| twin.apply(event));
        for (cut, workers) in cuts.iter_mut().zip([1, 2, 4]) {
            cut.last_mut().expect("not empty").questions.clone_from(&questions);
            let (last, answers) =
                (cut.len() - 1, run(cut, Spread::threads(workers), seed, settings_without_rows(seed)).asked);
            for (number, question) in questions.iter().enumerate() {
                let expected = twin.answer(question, &settings_without_rows(seed));
                let at = format!("seed {seed}, {workers} workers, {question:?}");
                assert_same(&answers[&(last, number)].body, &expected, &at);
            }
        }
    }
}

/// Removal is forgetting: a playlist deleted at the end leaves no trace in any answer.
#[test]
fn a_deleted_playlist_was_never_there() {
    let world = World { playlists: 12, tracks: 40, epochs: 200, fixed_names: true };
    let doomed = PlaylistId::of(&crate::history::playlist(3));
    for (seed, workers) in (200..206).zip([1, 2, 4, 1, 2, 4]) {
        let mut seen = history(seed, world);
        let last = seen.last_mut().expect("not empty");
        let delete = Change::PlaylistDeleted { playlist: crate::history::playlist(3).into() };
        last.events.push(Event { at_ms: 0, change: delete });
        // That a day has come is not forgotten with the events that told it.
        last.questions.retain(|question| !matches!(question, Question::Trending { .. }));
        let mut never = seen.clone();
        for epoch in &mut never {
            epoch.events.retain(|event| PlaylistId::of(event.key()) != doomed);
        }
        let last = seen.len() - 1;
        let answers = [seen, never]
            .map(|history| run(&history, Spread::threads(workers), seed, settings_without_rows(seed)).asked);
        for ((_, a), (_, b)) in answers[0].range((last, 0)..).zip(answers[1].range((last, 0)..)) {
            assert_eq!(a, b, "seed {seed}");
        }
        assert!(matches!(&answers[0][&(last, 0)].body, Body::State(state) if state.playlists > 0));
    }
}

/// About a long playlist, and about tracks of it: one that others hold too, one that it alone has.
fn about(long: PlaylistId) -> Vec<Question> {
    let track = |n: u32| TrackId::of(&crate::history::track(n));
    let [shared, own] = [1, 6_001].map(track);
    let some = |every: usize| Seeds::Tracks((1..18_000).step_by(every).map(track).collect());
    let recommend = |seeds| Question::Recommend(Recommend { explain: true, ..Recommend::new(seeds, 20) });
    let mut all = vec![
        Question::State,
        Question::Playlist(long),
        Question::Popular { limit: 20 },
        Question::Trending { days: 3, limit: 20 },
        Question::Pair { track: shared, with: own },
    ];
    all.extend([shared, own].map(Question::Track));
    all.extend([shared, own].map(|track| Question::Neighbours { track, limit: 20 }));
    all.push(recommend(Seeds::Playlist(long)));
    all.extend([6_000, 500, 200, 50].map(|every| recommend(some(every))));
    all
}

/// One playlist as long as the longest real one known, put, edited and shortened.
#[test]
fn a_playlist_of_13_000_tracks() {
    let uri = || "p:long".into();
    let tracks = |range: std::ops::Range<u32>| range.map(|n| Track::new(crate::history::track(n))).collect();
    let at_ms = 21 * 86_400_000;
    let put = |tracks| Event { at_ms, change: Change::PlaylistPut { playlist: uri(), title: None, tracks } };
    let add = |n: u32| Change::TrackAdded { playlist: uri(), track: Track::new(crate::history::track(n)) };
    let remove = |n: u32| Change::TrackRemoved { playlist: uri(), track: crate::history::track(n).into() };
    let small = World { playlists: 6, tracks: 30, epochs: 8, fixed_names: false };
    for workers in [1, 2, 4] {
        let mut epochs = history(300, small);
        let edits = |changes: Vec<Change<'static>>| changes.into_iter().map(|change| Event { at_ms, change });
        epochs[1].events.push(put(tracks(0..13_000)));
        epochs[2].events.extend(edits((13_000..13_050).map(add).collect()));
        epochs[3].events.extend(edits((0..13_000).step_by(3).map(remove).collect()));
        epochs[4].events.push(put(tracks(5_000..18_000)));
        epochs[6].events.push(Event { at_ms, change: Change::PlaylistDeleted { playlist: uri() } });
        for epoch in &mut epochs {
            epoch.questions = about(PlaylistId::of("p:long"));
        }
        equals_twin(&epochs, Spread::threads(workers), 300);
    }
}
