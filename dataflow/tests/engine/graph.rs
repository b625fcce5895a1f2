//! The graph of co-occurrence: at every step its rows are those of the twin, and those of plain differential
//! dataflow, on any number of workers and processes, through bursts and restarts.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::edit::Edit;
use segue_dataflow::engine::Dataflow;
use segue_dataflow::event::{Change, Event, Track};
use segue_dataflow::ids::TrackId;
use segue_dataflow::neighbours::{Changed, GraphStep, Row};
use segue_dataflow::query::{Answer, Board, Body, GraphLease, Lease, NeighboursAnswer, Query, Question};
use segue_dataflow::sample;
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::snapshot::GraphRows;

use crate::history::{Epoch, World, history, track};
use crate::plain;
use crate::seen::{Seen, assert_seen, crossed, see};
use crate::spread::Spread;
use crate::twin::{self, Rows, Twin};

/// Multiples of the grid after the last change, so that any burst is over.
const CALM: u64 = 12;
/// Answers to the reader that are compared.
const READ: usize = 300;
/// Neighbours asked for.
const LIMIT: usize = 5;

/// Rules so tight that samples are halved and doubled, rows come and go, lists run empty.
fn rules(seed: u64) -> Neighbours {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6a7);
    Neighbours {
        sample: 1 + rng.next_u32() % 6,
        keep: 1 + rng.next_u32() % 8,
        min_support: 1 + rng.next_u32() % 4,
        grid_ms: 1 + rng.next_u64() % 5,
        burst: [3, 40, 1_000, 1_000][rng.random_range(0..4)],
    }
}

/// How a run is made.
struct Run<'a> {
    /// The first epoch is number `begin + 1`.
    begin: u64,
    epochs: &'a [Epoch],
    spread: Spread,
    seed: u64,
    rules: Neighbours,
    before: Option<&'a Twin>,
    /// Rows that there are at the beginning.
    rows: &'a Rows,
    /// All epochs are closed before any is worked on.
    in_one_go: bool,
}

impl Run<'_> {
    /// The last step.
    fn last(&self) -> u64 {
        ((self.begin + self.epochs.len() as u64) / self.rules.grid_ms + CALM) * self.rules.grid_ms
    }

    /// All steps, in order, and what was answered meanwhile.
    fn go(self) -> Told {
        let settings = Settings { neighbours: self.rules, ..Settings::default() };
        let last = self.last();
        let Run { begin, spread, seed, in_one_go, .. } = self;
        let boards = spread.boards(settings);
        if let Some(before) = self.before {
            let restored = || {
                let mut graph = GraphRows::new(self.rules.of_rows());
                let rows = self.rows.iter();
                rows.for_each(|(track, (sampled, row))| graph.add(*track, *sampled, row));
                before.restored(spread.all(), begin).with_graph(graph)
            };
            boards.iter().for_each(|board| board.restore(restored()));
        }
        let steps = Arc::new(Mutex::new(BTreeMap::<u64, Vec<GraphStep>>::new()));
        let answers = <Arc<Mutex<Vec<_>>>>::default();
        let (told, answered, epochs) = (Arc::clone(&steps), Arc::clone(&answers), self.epochs.to_vec());
        // Whoever reads from a board sees what the workers of its process have: all only where it is the only one.
        let alone = boards.first().filter(|_| spread.processes == 1);
        let readers = alone.map(|board| {
            let (read_from, copied_from) = (Arc::clone(board), Arc::clone(board));
            (std::thread::spawn(move || read(&read_from)), std::thread::spawn(move || copy(&copied_from)))
        });
        let shown = boards.clone();
        spread.run(move |worker, process| {
            let refused: segue_dataflow::engine::Refused = Rc::new(|seq, why| panic!("refused {seq}: {why}"));
            let board = &shown[process];
            let mut dataflow = Dataflow::new(worker, spread.workers, settings, &refused, board, true);
            let mut pace = ChaCha8Rng::seed_from_u64(seed + worker.index() as u64);
            let tell = |step: GraphStep| {
                told.lock().expect("no panic holds it").entry(step.epoch).or_default().push(step);
            };
            let (mut seq, mut asked) = (0, Vec::new());
            for (epoch, Epoch { events, .. }) in (begin + 1..).zip(&epochs) {
                dataflow.advance(epoch);
                for event in events {
                    if worker.index() == 0 {
                        dataflow.feed(Edit::new(seq, event));
                    }
                    seq += 1;
                }
                let track = TrackId::of(&track(pace.random_range(0..WORLD.tracks)));
                asked.push(track);
                dataflow.ask(Query { id: asked.len() as u64 - 1, question: neighbours_of(track) });
                match pace.random_range(0..4) {
                    _ if in_one_go => {}
                    0 => {
                        dataflow.advance(epoch + 1);
                        while !dataflow.is_complete(epoch) {
                            worker.step_or_park(None);
                        }
                        dataflow.show(epoch, |_, _| {});
                        dataflow.show_graph(epoch, tell);
                    }
                    1 => drop(worker.step()),
                    _ => {}
                }
            }
            dataflow.advance(last + 1);
            while !dataflow.is_complete(last) {
                worker.step_or_park(None);
            }
            dataflow.show(last, |_, _| {});
            dataflow.show_graph(last, tell);
            while dataflow.with_views(|views| views.graph) < last {
                worker.step_or_park(None);
                dataflow.show_graph(last, tell);
            }
            let mut answered = answered.lock().expect("no panic holds it");
            while let Some((id, answer)) = dataflow.take_answer() {
                answered.push((asked[id as usize], answer));
            }
        });
        boards.iter().for_each(|board| board.close());
        let mut answers = std::mem::take(&mut *answers.lock().expect("no panic holds it"));
        let (read, copies) = readers.map_or_else(Default::default, |(reader, copier)| {
            let read = reader.join().expect("the reader does not panic");
            (read, copier.join().expect("the copier does not panic"))
        });
        let every = read.len() / READ + 1;
        answers.extend(read.into_iter().step_by(every));
        answers.sort_by_key(|(_, answer)| answer.as_of);
        let steps = std::mem::take(&mut *steps.lock().expect("no panic holds it"));
        let steps = steps.into_iter().map(|(epoch, parts)| {
            assert_eq!(parts.len(), spread.processes, "step {epoch} is told once by every process");
            GraphStep { epoch, rows: parts.into_iter().flat_map(|part| part.rows).collect() }
        });
        let steps = steps.collect();
        Told { steps, answers, copies }
    }
}

/// What came of a run.
struct Told {
    steps: Vec<GraphStep>,
    /// By epoch, whose neighbours were asked for.
    answers: Vec<(TrackId, Answer)>,
    /// By the step that they were read as-of.
    copies: BTreeMap<u64, Copied>,
}

fn neighbours_of(track: TrackId) -> Question {
    Question::Neighbours { track, limit: LIMIT }
}

/// Reads from the board until it is closed.
fn read(board: &Arc<Board>) -> Vec<(TrackId, Answer)> {
    let tracks = (0..WORLD.tracks).map(|n| TrackId::of(&track(n))).cycle();
    tracks.map_while(|track| Some((track, board.answer(neighbours_of(track))?))).collect()
}

/// The graph as it was read.
struct Copied {
    rows: Vec<(TrackId, Shown)>,
    /// The step before that was read, and what has changed since.
    since: u64,
    changed: Vec<(TrackId, Option<Shown>, Option<Shown>)>,
}

type Shown = twin::Row;

/// Copies all rows as-of one step after the other until the board is closed, each while the one before is held.
fn copy(board: &Arc<Board>) -> BTreeMap<u64, Copied> {
    let (mut copies, mut held) = (BTreeMap::new(), None::<GraphLease>);
    while let Some(lease) = board.lease().map(Lease::into_graph) {
        let before = held.replace(lease);
        let (Some(lease), Some(before)) = (&held, before) else { continue };
        // Others go on meanwhile.
        std::thread::yield_now();
        let named = |lease: &GraphLease, track| {
            let uri =
                lease.uri(track).unwrap_or_else(|| panic!("{track:?} has no name at step {}", lease.step()));
            assert_eq!(TrackId::of(&uri), track);
        };
        let look = |lease: &GraphLease, track, row: &Row| {
            row.neighbours().map(|(other, _)| other).chain([track]).for_each(|track| named(lease, track));
            shown(row)
        };
        let change = lease.since(&before).into_iter().map(|Changed { track, old, new }| {
            let old = old.map(|row| look(&before, track, &row));
            (track, old, new.map(|row| look(lease, track, &row)))
        });
        let changed = change.collect();
        let row = |track| (track, look(lease, track, &lease.row(track).expect("it has a row")));
        let rows = lease.tracks().into_iter().map(row).collect();
        if before.step() < lease.step() {
            copies.insert(lease.step(), Copied { rows, since: before.step(), changed });
        }
    }
    copies
}

fn shown(row: &Row) -> Shown {
    (row.sampled(), row.neighbours().collect())
}

/// The rows after every step, put together from what there was at the beginning and what each step changed.
fn rows_by_step(mut rows: Rows, steps: &[GraphStep]) -> BTreeMap<u64, Rows> {
    let mut after = BTreeMap::new();
    for step in steps {
        for changed in &step.rows {
            let old = changed.old.as_deref().map(shown);
            let before = match changed.new.as_deref().map(shown) {
                Some(new) => rows.insert(changed.track, new),
                None => rows.remove(&changed.track),
            };
            assert_eq!(old, before, "step {}, {:?}", step.epoch, changed.track);
        }
        after.insert(step.epoch, rows.clone());
    }
    after
}

/// What a run is compared with.
struct Twins<'a> {
    twin: Twin,
    begin: u64,
    epochs: &'a [Epoch],
    rules: Neighbours,
    at: String,
}

impl Twins<'_> {
    /// Compares the rows after every step with the twin's and with plain differential's, and what was answered;
    /// tells how many neighbours there were in steps, and in answers from rows, and what has happened.
    fn equal(mut self, begun: Rows, told: &Told) -> Seen {
        let (mut seen, mut levels) = (Seen::new(), self.levels());
        let (mut changes, mut last) = (0, self.begin);
        let after = rows_by_step(begun, &told.steps);
        let mut entries: Vec<_> = self.twin.entries().into_iter().map(|entry| (entry, 0, 1)).collect();
        let (mut answers, mut from_rows) = (told.answers.iter().peekable(), 0);
        for epoch in self.begin..=told.steps.last().map_or(0, |step| step.epoch) {
            let before = self.twin.entries();
            let events =
                (epoch - self.begin).checked_sub(1).and_then(|number| self.epochs.get(number as usize));
            events.iter().flat_map(|epoch| &epoch.events).for_each(|event| self.twin.apply(event));
            let now = self.twin.entries();
            entries.extend(before.difference(&now).map(|entry| (*entry, epoch, -1)));
            entries.extend(now.difference(&before).map(|entry| (*entry, epoch, 1)));
            changes += before.symmetric_difference(&now).count();
            if epoch.is_multiple_of(self.rules.grid_ms) {
                see(&mut seen, "bursts", usize::from(changes > self.rules.burst as usize));
                changes = 0;
            }
            if let Some(rows) = after.get(&epoch) {
                assert_eq!(*rows, self.twin.rows(&self.rules), "{}, step {epoch}", self.at);
                let now = self.levels();
                crossed(&levels, &now, &mut seen);
                see(&mut seen, "steps of many multiples", usize::from(epoch > last + self.rules.grid_ms));
                (levels, last) = (now, epoch);
            }
            while let Some((track, answer)) = answers.next_if(|(_, answer)| answer.as_of <= epoch) {
                from_rows += self.answered(*track, answer, &after);
            }
        }
        assert!(answers.next().is_none(), "{}", self.at);
        let none = Rows::new();
        for (epoch, copy) in &told.copies {
            let at = format!("{}, copy of step {epoch}", self.at);
            let (now, before) = (&after[epoch], after.get(&copy.since).unwrap_or(&none));
            assert!(copy.rows.iter().map(|(track, row)| (track, row)).eq(now), "{at}");
            for (track, old, new) in &copy.changed {
                assert_eq!(
                    (old.as_ref(), new.as_ref()),
                    (before.get(track), now.get(track)),
                    "{at}: {track:?}"
                );
            }
            let differs = |track: &&TrackId| before.get(track) != now.get(track);
            let told = |track: &TrackId| copy.changed.iter().any(|(changed, ..)| changed == track);
            assert!(before.keys().chain(now.keys()).filter(differs).all(told), "{at}, since {}", copy.since);
        }
        see(&mut seen, "neighbours", self.plain(entries, &after));
        see(&mut seen, "answered from rows", from_rows);
        seen
    }

    /// How often the sample of each track that is to have a row was halved.
    fn levels(&self) -> BTreeMap<TrackId, u32> {
        let mut holding = BTreeMap::new();
        self.twin.entries().iter().for_each(|(_, track)| *holding.entry(*track).or_default() += 1);
        holding.retain(|_, holding| *holding >= self.rules.min_support);
        holding
            .into_iter()
            .map(|(track, holding)| (track, sample::level(holding, self.rules.sample)))
            .collect()
    }

    /// An answer of this epoch is from the row after an earlier step, or was counted for it.
    fn answered(&self, track: TrackId, answer: &Answer, after: &BTreeMap<u64, Rows>) -> usize {
        let settings = Settings { neighbours: self.rules, ..Settings::default() };
        let at = format!("{}, {track:?}, {answer:?}", self.at);
        let Body::Neighbours(Some(NeighboursAnswer { track: of, sampled, graph: Some(graph), neighbours })) =
            &answer.body
        else {
            assert_eq!(answer.body, self.twin.answer(&neighbours_of(track), &settings), "{at}");
            return 0;
        };
        assert!(*graph <= answer.as_of, "{at}");
        let there = |track: &TrackId| self.twin.answer(&Question::Track(*track), &settings);
        let (counted, best) = &after[graph][&track];
        let best: Vec<_> =
            best.iter().take(LIMIT).filter(|(other, _)| there(other) != Body::Track(None)).copied().collect();
        let told: Vec<_> = neighbours.iter().map(|n| (TrackId::of(&n.track.uri), n.shared)).collect();
        assert_eq!((*sampled, told), (*counted, best), "{at}");
        assert_eq!(Body::Track(Some(of.clone())), there(&track), "{at}");
        neighbours.len()
    }

    fn plain(&self, entries: Vec<plain::Update>, after: &BTreeMap<u64, Rows>) -> usize {
        let mut changes = plain::neighbours(entries, self.rules);
        changes.sort_by_key(|(_, epoch, _)| *epoch);
        let (mut changes, mut plain) = (changes.into_iter().peekable(), BTreeMap::new());
        let mut compared = 0;
        for (epoch, rows) in after {
            while let Some((neighbour, _, diff)) = changes.next_if(|(_, at, _)| at <= epoch) {
                *plain.entry(neighbour).or_insert(0) += diff;
            }
            plain.retain(|_, diff| *diff != 0);
            let row = |(track, (_, row)): (&TrackId, &twin::Row)| {
                row.iter().map(|(other, n)| (*track, *other, *n)).collect::<Vec<_>>()
            };
            let mut flat: Vec<(TrackId, TrackId, u32)> = rows.iter().flat_map(row).collect();
            flat.sort_unstable();
            assert!(flat.iter().eq(plain.keys()), "{}, plain differential at step {epoch}", self.at);
            compared += flat.len();
        }
        compared
    }
}

const WORLD: World = World { playlists: 14, tracks: 40, epochs: 150, fixed_names: true };

fn seeds(ci: u64) -> std::ops::Range<u64> {
    0..if std::env::var_os("SEGUE_SOAK").is_some() { 20 * ci } else { ci }
}

/// After what `before` has; gives how often what has happened.
fn check(before: &Twin, begin: u64, epochs: &[Epoch], seed: u64, in_one_go: bool) -> Seen {
    let spread = match (seed % 4, [1, 2, 4][seed as usize % 3]) {
        (3, 1) => Spread::processes(3, 1),
        (3, workers) => Spread::processes(2, workers / 2),
        (_, workers) => Spread::threads(workers),
    };
    // Every other time what workers of a process send one another is bytes too.
    let (spread, rules) = (Spread { bytes: seed % 2 == 1, ..spread }, rules(seed));
    // A state comes with all rows, with some, or without.
    let mut begun = before.rows(&rules);
    begun.retain(|track, _| (seed / 3 + track.0 / 8) % 3 < seed % 5);
    let before_it = (begin > 0).then_some(before);
    let run = Run { begin, epochs, spread, seed, rules, before: before_it, rows: &begun, in_one_go };
    let (last, told) = (run.last(), run.go());
    let at = format!("seed {seed}, {spread}, {rules:?}");
    assert_eq!(told.steps.last().map(|step| step.epoch), Some(last), "{at}");
    let mut seen = Twins { twin: before.clone(), begin, epochs, rules, at }.equal(begun, &told);
    see(&mut seen, "steps", told.steps.len());
    see(&mut seen, "copies", told.copies.len());
    seen
}

/// What rules as tight as these bring about.
const CROSSED: [(&str, usize); 4] =
    [("samples were halved", 100), ("samples were doubled", 100), ("rows came", 100), ("rows went", 100)];

#[test]
fn rows_equal_their_twins_at_every_step() {
    let all = seeds(50).map(|seed| check(&Twin::default(), 0, &history(seed, WORLD), seed, false));
    let often = [("steps", 1_000), ("neighbours", 10_000), ("answered from rows", 1_000), ("copies", 100)];
    assert_seen(all, &[&CROSSED[..], &often, &[("bursts", 100)]].concat());
}

#[test]
fn rows_are_the_same_after_a_restart() {
    let all = seeds(50).map(|seed| {
        let epochs = history(seed, WORLD);
        let (before, after) = epochs.split_at(epochs.len() / 2);
        let mut twin = Twin::default();
        before.iter().flat_map(|epoch| &epoch.events).for_each(|event| twin.apply(event));
        check(&twin, before.len() as u64, after, seed, false)
    });
    let often = [("steps", 500), ("neighbours", 5_000), ("answered from rows", 500), ("bursts", 50)];
    assert_seen(all, &[&CROSSED[..], &often].concat());
}

#[test]
fn rows_are_the_same_after_catching_up_in_one_go() {
    let all = seeds(50).map(|seed| check(&Twin::default(), 0, &history(seed, WORLD), seed, true));
    assert_seen(
        all,
        &[("steps", 49), ("neighbours", 1_000), ("steps of many multiples", 50), ("bursts", 50)],
    );
}

/// A playlist so long that the rows it touches are counted anew, and so short that they are not.
#[test]
fn a_long_playlist_comes_and_goes() {
    let put = |uri: &'static str, tracks: std::ops::Range<u32>| {
        let tracks = tracks.map(|n| Track::new(track(n))).collect();
        Event { at_ms: 0, change: Change::PlaylistPut { playlist: uri.into(), title: None, tracks } }
    };
    let delete =
        |uri: &'static str| Event { at_ms: 0, change: Change::PlaylistDeleted { playlist: uri.into() } };
    let all = (0..14).map(|seed| {
        let mut epochs = history(seed, World { epochs: 30, ..WORLD });
        epochs[3].events.push(put("p:other", 100..700));
        epochs[4].events.push(put("p:long", 0..600));
        epochs[9].events.push(put("p:long", 3..601));
        epochs[14].events.push(put("p:long", 0..20));
        epochs[19].events.push(put("p:long", 10..900));
        epochs[24].events.push(delete("p:other"));
        epochs[27].events.push(delete("p:long"));
        check(&Twin::default(), 0, &epochs, seed, false)
    });
    assert_seen(all, &[("neighbours", 2_000), ("rows came", 100), ("rows went", 100), ("bursts", 10)]);
}
