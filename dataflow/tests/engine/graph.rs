//! The graph of co-occurrence: at every step its rows are those of the twin, and those of plain differential
//! dataflow, on any number of workers, through bursts and restarts.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::edit::Edit;
use segue_dataflow::engine::Dataflow;
use segue_dataflow::event::{Change, Event, Track};
use segue_dataflow::ids::TrackId;
use segue_dataflow::neighbours::{GraphStep, Row};
use segue_dataflow::query::Board;
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::snapshot::Restored;

use crate::history::{Epoch, World, history};
use crate::plain;
use crate::twin::{Rows, Twin};

/// Multiples of the grid after the last change, so that any burst is over.
const CALM: u64 = 12;

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
    workers: usize,
    seed: u64,
    rules: Neighbours,
    restored: Option<Restored>,
    /// All epochs are closed before any is worked on.
    in_one_go: bool,
}

impl Run<'_> {
    /// The last step.
    fn last(&self) -> u64 {
        ((self.begin + self.epochs.len() as u64) / self.rules.grid_ms + CALM) * self.rules.grid_ms
    }

    /// All steps, in order.
    fn steps(self) -> Vec<GraphStep> {
        let settings = Settings { neighbours: self.rules, ..Settings::default() };
        let board = Arc::new(Board::new(self.workers, settings));
        let last = self.last();
        let Run { begin, workers, seed, in_one_go, .. } = self;
        self.restored.into_iter().for_each(|restored| board.restore(restored));
        let steps = Arc::new(Mutex::new(Vec::new()));
        let (told, epochs) = (Arc::clone(&steps), self.epochs.to_vec());
        let guards = timely::execute(timely::Config::process(workers), move |worker| {
            let refused: segue_dataflow::engine::Refused = Rc::new(|seq, why| panic!("refused {seq}: {why}"));
            let mut dataflow = Dataflow::new(worker, workers, settings, &refused, &board, false);
            let mut pace = ChaCha8Rng::seed_from_u64(seed + worker.index() as u64);
            let tell = |step| told.lock().expect("no panic holds it").push(step);
            let mut seq = 0;
            for (epoch, Epoch { events, .. }) in (begin + 1..).zip(&epochs) {
                dataflow.advance(epoch);
                for event in events {
                    if worker.index() == 0 {
                        dataflow.feed(Edit::new(seq, event));
                    }
                    seq += 1;
                }
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
        });
        guards
            .expect("timely starts")
            .join()
            .into_iter()
            .for_each(|worker| worker.expect("no worker panics"));
        std::mem::take(&mut steps.lock().expect("no panic holds it"))
    }
}

fn shown(row: &Row) -> (u32, Vec<(TrackId, u32)>) {
    (row.sampled(), row.neighbours().collect())
}

/// The rows after every step, put together from what each changed.
fn rows_by_step(steps: &[GraphStep]) -> BTreeMap<u64, Rows> {
    let mut rows = Rows::new();
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
        let twice = after.insert(step.epoch, rows.clone());
        assert!(twice.is_none(), "step {} came twice", step.epoch);
    }
    after
}

/// Compares the rows after every step with the twin's and with plain differential's; tells how many there were.
fn equal_twins(
    mut twin: Twin,
    begin: u64,
    epochs: &[Epoch],
    rules: Neighbours,
    steps: &[GraphStep],
    at: &str,
) -> usize {
    let mut after = rows_by_step(steps).into_iter().peekable();
    let mut entries = twin.entries().into_iter().map(|entry| (entry, 0, 1)).collect::<Vec<_>>();
    let mut expected = Vec::new();
    for epoch in begin + 1..=begin + epochs.len() as u64 + CALM * rules.grid_ms + rules.grid_ms {
        let before = twin.entries();
        let events = epochs.get((epoch - begin - 1) as usize).map(|epoch| &epoch.events[..]);
        events.unwrap_or_default().iter().for_each(|event| twin.apply(event));
        let now = twin.entries();
        entries.extend(before.difference(&now).map(|entry| (*entry, epoch, -1)));
        entries.extend(now.difference(&before).map(|entry| (*entry, epoch, 1)));
        if let Some((_, rows)) = after.next_if(|(step, _)| *step == epoch) {
            assert_eq!(rows, twin.rows(&rules), "{at}, step {epoch}, {rules:?}");
            expected.push((epoch, rows));
        }
    }
    assert_eq!(after.next(), None, "{at}: a step at no epoch");
    let mut changes = plain::neighbours(entries, rules);
    changes.sort_by_key(|(_, epoch, _)| *epoch);
    let (mut changes, mut plain) = (changes.into_iter().peekable(), BTreeMap::new());
    let mut compared = 0;
    for (epoch, rows) in expected {
        while let Some((neighbour, _, diff)) = changes.next_if(|(_, at, _)| *at <= epoch) {
            *plain.entry(neighbour).or_insert(0) += diff;
        }
        plain.retain(|_, diff| *diff != 0);
        let flat =
            rows.iter().flat_map(|(track, (_, row))| row.iter().map(|(other, n)| (*track, *other, *n)));
        let mut flat: Vec<_> = flat.collect();
        flat.sort_unstable();
        assert!(flat.iter().eq(plain.keys()), "{at}, plain differential at step {epoch}, {rules:?}");
        compared += flat.len();
    }
    compared
}

const WORLD: World = World { playlists: 14, tracks: 40, epochs: 150, fixed_names: true };

fn seeds(ci: u64) -> std::ops::Range<u64> {
    0..if std::env::var_os("SEGUE_SOAK").is_some() { 20 * ci } else { ci }
}

/// On so many workers, after what `before` has; gives the number of steps, and of neighbours that were compared.
fn check(before: &Twin, begin: u64, epochs: &[Epoch], seed: u64, in_one_go: bool) -> (usize, usize) {
    let (workers, rules) = ([1, 2, 4][seed as usize % 3], rules(seed));
    let restored = (begin > 0).then(|| before.restored(workers, begin));
    let run = Run { begin, epochs, workers, seed, rules, restored, in_one_go };
    let (last, steps) = (run.last(), run.steps());
    let at = format!("seed {seed}, {workers} workers");
    assert_eq!(steps.last().map(|step| step.epoch), Some(last), "{at}");
    (steps.len(), equal_twins(before.clone(), begin, epochs, rules, &steps, &at))
}

#[test]
fn rows_equal_their_twins_at_every_step() {
    let (mut steps, mut compared) = (0, 0);
    for seed in seeds(50) {
        let (told, equal) = check(&Twin::default(), 0, &history(seed, WORLD), seed, false);
        (steps, compared) = (steps + told, compared + equal);
    }
    assert!(steps > 1_000 && compared > 10_000, "{steps} steps, {compared} neighbours");
}

#[test]
fn rows_are_the_same_after_a_restart() {
    let mut compared = 0;
    for seed in seeds(50) {
        let epochs = history(seed, WORLD);
        let (before, after) = epochs.split_at(epochs.len() / 2);
        let mut twin = Twin::default();
        before.iter().flat_map(|epoch| &epoch.events).for_each(|event| twin.apply(event));
        compared += check(&twin, before.len() as u64, after, seed, false).1;
    }
    assert!(compared > 5_000, "{compared} neighbours");
}

#[test]
fn rows_are_the_same_after_catching_up_in_one_go() {
    let mut compared = 0;
    for seed in seeds(50) {
        let epochs = history(seed, WORLD);
        compared += check(&Twin::default(), 0, &epochs, seed, true).1;
    }
    assert!(compared > 1_000, "{compared} neighbours");
}

/// A playlist so long that the rows it touches are counted anew, and so short that they are not.
#[test]
fn a_long_playlist_comes_and_goes() {
    let put = |uri: &'static str, tracks: std::ops::Range<u32>| {
        let tracks = tracks.map(|n| Track::new(crate::history::track(n))).collect();
        Event { at_ms: 0, change: Change::PlaylistPut { playlist: uri.into(), title: None, tracks } }
    };
    let delete =
        |uri: &'static str| Event { at_ms: 0, change: Change::PlaylistDeleted { playlist: uri.into() } };
    let mut compared = 0;
    for seed in 0..6 {
        let mut epochs = history(seed, World { epochs: 30, ..WORLD });
        epochs[3].events.push(put("p:other", 100..700));
        epochs[4].events.push(put("p:long", 0..600));
        epochs[9].events.push(put("p:long", 3..601));
        epochs[14].events.push(put("p:long", 0..20));
        epochs[19].events.push(put("p:long", 10..900));
        epochs[24].events.push(delete("p:other"));
        epochs[27].events.push(delete("p:long"));
        compared += check(&Twin::default(), 0, &epochs, seed, false).1;
    }
    assert!(compared > 2_000, "{compared} neighbours");
}
