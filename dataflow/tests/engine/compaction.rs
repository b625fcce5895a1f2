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
use segue_dataflow::settings::Settings;

const PLAYLISTS: u32 = 2_000;
const TRACKS: u32 = 5_000;
const EPOCHS: u64 = 20_000;

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
        n if n % 2 == 0 => Change::TrackRemoved { playlist, track: track.into() },
        _ => Change::TrackAdded { playlist, track: Track::new(track) },
    }
}

#[test]
fn batches_stay_few_over_many_epochs() {
    timely::execute(timely::Config::thread(), |worker| {
        let refused: segue_dataflow::engine::Refused = Rc::new(|seq, why| panic!("refused {seq}: {why}"));
        let board = Arc::new(Board::new(1, Settings::default()));
        let mut dataflow = Dataflow::new(worker, 1, Settings::default(), &refused, &board, true);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        dataflow.advance(1);
        for n in 0..PLAYLISTS {
            let event = Event { at_ms: 0, change: put(&mut rng, n) };
            dataflow.feed(Edit::new(u64::from(n), &event));
        }
        let (mut asked, mut most, mut most_epochs) = (0, [(0, 0); 3], 0);
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
            asked -= std::iter::from_fn(|| dataflow.take_answer()).count();
            if epoch > 1_000 && epoch % 100 == 0 {
                let (batches, epochs) = dataflow.with_views(|views| {
                    let books = [
                        views.books[0].playlists.read().epochs(),
                        views.books[0].cards.read().epochs(),
                        views.popularity.read().epochs(),
                        views.books[0].totals.read().epochs(),
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
        println!("most (batches, stored times): {most:?}; epochs in books: {most_epochs}");
        assert!(asked <= 1, "{asked} without an answer");
        // 100,000 entries and one update a batch: log2(100,000) batches are about 17.
        most.iter().for_each(|(batches, _)| assert!(*batches <= 24, "{most:?}"));
        most.iter().for_each(|(_, times)| assert!(*times <= 5_000, "{most:?}"));
        assert!(most_epochs <= 16, "{most_epochs}");
    })
    .expect("timely starts");
}
