//! State stays as large as its content: batches stay few, old epochs are forgotten, at constant size.

use std::rc::Rc;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::edit::Edit;
use segue_dataflow::engine::Dataflow;
use segue_dataflow::event::{Change, Event, Track};
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::{Board, Query, Question};
use segue_dataflow::settings::{Neighbours, Settings, Trending};

const PLAYLISTS: u32 = 2_000;
const TRACKS: u32 = 5_000;
const EPOCHS: u64 = 20_000;

/// As many epochs between the graph's steps as there are in flight.
fn settings() -> Settings {
    let neighbours = Neighbours { min_support: 20, keep: 20, grid_ms: 5, ..Neighbours::default() };
    Settings { neighbours, ..Settings::default() }
}

fn put(rng: &mut ChaCha8Rng, n: u32) -> Change<'static> {
    let tracks = (0..50).map(|_| Track::new(format!("t:{}", rng.random_range(0..TRACKS)))).collect();
    Change::PlaylistPut { playlist: format!("p:{n}").into(), title: Some("Base".into()), tracks }
}

/// Adds and removes in turn, titles now and then: the size stays what it is.
fn edit(rng: &mut ChaCha8Rng, epoch: u64) -> Change<'static> {
    let playlist = format!("p:{}", rng.random_range(0..PLAYLISTS)).into();
    let track = format!("t:{}", rng.random_range(0..TRACKS));
    match epoch % 10 {
        0 => Change::PlaylistTitled { playlist, title: format!("Title {}", epoch % 70).into() },
        // A track that is nowhere else comes and goes.
        3 => Change::TrackAdded { playlist: "p:0".into(), track: Track::new("t:once") },
        4 => Change::TrackRemoved { playlist: "p:0".into(), track: "t:once".into() },
        n if n % 2 == 0 => Change::TrackRemoved { playlist, track: track.into() },
        _ => Change::TrackAdded { playlist, track: Track::new(track) },
    }
}

#[test]
fn batches_stay_few_over_many_epochs() {
    timely::execute(timely::Config::thread(), |worker| {
        let refused: segue_dataflow::engine::Refused = Rc::new(|seq, why| panic!("refused {seq}: {why}"));
        let board = Arc::new(Board::new(1, settings()));
        let mut dataflow = Dataflow::new(worker, 1, settings(), &refused, &board, true);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        dataflow.advance(1);
        for n in 0..PLAYLISTS {
            let event = Event { at_ms: 0, change: put(&mut rng, n) };
            dataflow.feed(Edit::new(u64::from(n), &event));
        }
        let (mut asked, mut most, mut most_epochs) = (0, [(0, 0); 3], 0);
        let (mut steps, mut changed, mut most_held) = (0, 0, 0);
        for epoch in 2..EPOCHS {
            dataflow.advance(epoch);
            let event = Event { at_ms: 0, change: edit(&mut rng, epoch) };
            dataflow.feed(Edit::new(epoch + 10_000, &event));
            if epoch % 10 == 0 {
                asked += 1;
                let track = TrackId::of(&format!("t:{}", rng.random_range(0..TRACKS)));
                dataflow.ask(Query { id: epoch, question: Question::Neighbours { track, limit: 10 } });
            }
            // Epochs in flight, so that holds are real.
            while !dataflow.is_complete(epoch.saturating_sub(5)) {
                worker.step();
            }
            dataflow.show(epoch.saturating_sub(5), |_, _| {});
            dataflow.show_graph(epoch.saturating_sub(5), |step| {
                steps += 1;
                changed += step.rows.len();
            });
            if epoch > 1_000 {
                let held = dataflow.with_views(|views| views.books[0].cards.read().held());
                most_held = most_held.max(held);
            }
            asked -= std::iter::from_fn(|| dataflow.take_answer()).count();
            if epoch > 1_000 && epoch % 100 == 0 {
                let (batches, epochs) = dataflow.with_views(|views| {
                    let books = [
                        views.books[0].playlists.read().epochs(),
                        views.books[0].cards.read().epochs(),
                        views.popularity.read().epochs(),
                        views.books[0].totals.read().epochs(),
                        views.books[0].rows.read().epochs(),
                    ];
                    let batches =
                        [views.by_playlist.batches(), views.by_track.batches(), views.by_title.batches()];
                    (batches, books.into_iter().max().unwrap_or(0))
                });
                for (most, now) in most.iter_mut().zip(batches) {
                    *most = (most.0.max(now.0), most.1.max(now.1));
                }
                most_epochs = most_epochs.max(epochs);
            }
        }
        println!("{steps} steps of the graph changed {changed} rows");
        assert!(steps > 1_000 && changed > 1_000, "{steps} steps, {changed} rows");
        println!("most (batches, stored times): {most:?}; epochs in books: {most_epochs}; gone tracks held: {most_held}");
        assert!(asked <= 1, "{asked} without an answer");
        // 100,000 entries and one update a batch: log2(100,000) batches are about 17.
        most.iter().for_each(|(batches, _)| assert!(*batches <= 24, "{most:?}"));
        most.iter().for_each(|(_, times)| assert!(*times <= 5_000, "{most:?}"));
        assert!(most_epochs <= 16, "{most_epochs}");
        assert!((1..=16).contains(&most_held), "{most_held}");
    })
    .expect("timely starts");
}

/// A pin keeps its epoch readable, and nothing is held any more once it is gone.
#[test]
fn a_pin_holds_its_epoch_and_lets_go_of_it() {
    timely::execute(timely::Config::thread(), |worker| {
        let refused: segue_dataflow::engine::Refused = Rc::new(|seq, why| panic!("refused {seq}: {why}"));
        let board = Arc::new(Board::new(1, settings()));
        let mut dataflow = Dataflow::new(worker, 1, settings(), &refused, &board, false);
        let (mut rng, mut pin) = (ChaCha8Rng::seed_from_u64(2), None);
        let mut held = Vec::new();
        for epoch in 1..600 {
            dataflow.advance(epoch);
            dataflow.feed(Edit::new(epoch, &Event { at_ms: 0, change: edit(&mut rng, epoch) }));
            dataflow.advance(epoch + 1);
            while !dataflow.is_complete(epoch) {
                worker.step();
            }
            dataflow.show(epoch, |_, _| {});
            dataflow.show_graph(epoch, |_| {});
            match epoch {
                100 => pin = board.pin(),
                400 => pin = None,
                _ => {}
            }
            held.push(dataflow.with_views(|views| views.books[0].totals.read().epochs()));
        }
        assert!(pin.is_none() && held[398] > 200 && held[90] < 16 && held[500] < 16, "{held:?}");
    })
    .expect("timely starts");
}

/// What nobody touches any more is dropped too, once it is older than is kept.
#[test]
fn old_days_are_dropped_from_all_tracks_and_playlists() {
    timely::execute(timely::Config::thread(), |worker| {
        let refused: segue_dataflow::engine::Refused = Rc::new(|seq, why| panic!("refused {seq}: {why}"));
        let settings = Settings { trending: Trending { keep_days: 4 }, ..Settings::default() };
        let board = Arc::new(Board::new(1, settings));
        let mut dataflow = Dataflow::new(worker, 1, settings, &refused, &board, true);
        let (mut seq, mut epoch) = (0, 1);
        let mut add = |tracks: std::ops::Range<u32>, day: i64| {
            dataflow.advance(epoch);
            for n in tracks {
                let playlist = format!("p:{}", n % 40).into();
                let change = Change::TrackAdded { playlist, track: Track::new(format!("t:{n}")) };
                dataflow.feed(Edit::new(seq, &Event { at_ms: day * 86_400_000, change }));
                seq += 1;
            }
            dataflow.advance(epoch + 1);
            while !dataflow.is_complete(epoch) {
                worker.step();
            }
            dataflow.show(epoch, |_, _| {});
            epoch += 1;
            dataflow.with_views(|views| {
                let days = views.books[0].days.read();
                let of_playlists = days.iter().flat_map(|(_, days)| days.iter()).filter(|day| day.0 > 0);
                [views.books[0].trending.read().size(), of_playlists.count()]
            })
        };
        assert_eq!(add(0..2_000, 10), [2_000; 2]);
        assert_eq!(add(1_900..2_500, 12), [2_500; 2], "those that were there already are of day 10");
        // Fewer than three events from the future change nothing.
        assert_eq!(add(2_500..2_502, 900), [2_502; 2]);
        // Always to the same playlist.
        let kept: Vec<_> = (0..300).map(|n| add(4_000 + 40 * n..4_001 + 40 * n, 15)).collect();
        assert!((2_400..2_503).contains(&kept[0][0]), "one part in 256 of day 10 is gone: {kept:?}");
        assert_eq!(kept[299], [802; 2], "days 12 and 15, and 900 that may come");
        let slow = |which: usize, most| kept.windows(2).all(|two| two[1][which] + most >= two[0][which]);
        assert!(slow(0, 100) && slow(1, 400), "a part at a time: {kept:?}");
        assert!(kept.windows(2).all(|two| (0..2).all(|i| two[1][i] <= two[0][i] + 1)), "{kept:?}");
    })
    .expect("timely starts");
}
