//! At constant size nothing grows: not memory, not batches, not the epochs that books remember. A process of
//! its own, since it looks at the memory of the whole process. `make soak` runs an hour's worth of events
//! at 2,000 a second.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::edit::Edit;
use segue_dataflow::engine::{Dataflow, Refused};
use segue_dataflow::event::{Change, Event, Named, Track};
use segue_dataflow::query::{Board, Body, Question};
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::views::batch::merge_when_idle;

const PLAYLISTS: usize = 1_000;
const ENTRIES: usize = 50;
/// Events of one epoch: 5 ms at 2,000 a second.
const TOGETHER: u64 = 10;

fn edits() -> u64 {
    if std::env::var_os("SEGUE_SOAK").is_some() { 3_600 * 2_000 } else { 450_000 }
}

/// From the kernel, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Playlists in which the oldest track makes way for every new one. New tracks come with names, so the
/// catalogue has to let go of them, their artists and albums too.
struct World {
    dice: ChaCha8Rng,
    playlists: Vec<VecDeque<u64>>,
    tracks: u64,
}

impl World {
    fn track(&mut self) -> Track<'static> {
        // Most additions are of known tracks, some of new ones.
        if self.dice.random_bool(0.2) {
            self.tracks += 1;
        }
        let n = self.tracks - self.dice.random_range(0..20_000).min(self.tracks);
        let mut track = Track::new(format!("t:{n}"));
        track.name = Some(format!("Track {n}").into());
        track.artist = Some(Named { uri: format!("a:{}", n / 7).into(), name: Some("Artist".into()) });
        track.album = Some(Named { uri: format!("b:{}", n / 3).into(), name: Some("Album".into()) });
        track
    }

    /// In turn an addition to some playlist, and the removal of its oldest track.
    fn edit(&mut self, last: &mut usize, remove: bool) -> Change<'static> {
        if remove {
            let oldest = self.playlists[*last].pop_front().unwrap_or_default();
            return Change::TrackRemoved {
                playlist: format!("p:{last}").into(),
                track: format!("t:{oldest}").into(),
            };
        }
        *last = self.dice.random_range(0..self.playlists.len());
        loop {
            let track = self.track();
            let n: u64 = track.uri["t:".len()..].parse().expect("made above");
            if !self.playlists[*last].contains(&n) {
                self.playlists[*last].push_back(n);
                return Change::TrackAdded { playlist: format!("p:{last}").into(), track };
            }
        }
    }
}

#[test]
fn nothing_grows() {
    let mut config = timely::Config::thread();
    merge_when_idle(&mut config.worker);
    timely::execute(config, |worker| {
        let refused: Refused = Rc::new(|seq, why| panic!("refused {seq}: {why}"));
        // Few epochs between the graph's steps, so that books need not remember many.
        let neighbours = Neighbours { min_support: 6, keep: 20, grid_ms: 5, ..Neighbours::default() };
        let settings = Settings { neighbours, ..Settings::default() };
        let board = Arc::new(Board::new(1, settings));
        let mut dataflow = Dataflow::new(worker, 1, settings, &refused, &board, true);
        let playlists = vec![VecDeque::new(); PLAYLISTS];
        let mut world = World { dice: ChaCha8Rng::seed_from_u64(1), playlists, tracks: 20_000 };
        let (mut last, mut seq, mut epoch) = (0, 0, 1);
        let mut run = |edits: u64, fill: bool, dataflow: &mut Dataflow| {
            let mut most = (0, 0);
            for n in 0..edits {
                if n % TOGETHER == 0 {
                    epoch += 1;
                    dataflow.advance(epoch);
                    while !dataflow.is_complete(epoch - 1) {
                        worker.step();
                    }
                    dataflow.show(epoch - 1, |_, _| {});
                    dataflow.show_graph(epoch - 1, |_| {});
                    let (batches, epochs) = dataflow.with_views(|views| {
                        let batches = [views.by_playlist.batches().0, views.by_track.batches().0];
                        let books = &views.books[0];
                        let epochs = [
                            books.playlists.read().epochs(),
                            books.cards.read().epochs(),
                            books.rows.read().epochs(),
                        ];
                        (batches.into_iter().max().unwrap_or(0), epochs.into_iter().max().unwrap_or(0))
                    });
                    most = (batches.max(most.0), epochs.max(most.1));
                }
                let change = world.edit(&mut last, !fill && n % 2 == 1);
                seq += 1;
                dataflow.feed(Edit::new(seq, &Event { at_ms: 0, change }));
            }
            most
        };
        run((PLAYLISTS * ENTRIES) as u64, true, &mut dataflow);
        let edits = edits();
        // By then every entry has been replaced, and there are as many tracks as there will be.
        run(edits / 3 * 2, false, &mut dataflow);
        let before = resident();
        let (batches, epochs) = run(edits / 3, false, &mut dataflow);
        let after = resident();
        println!("{edits} edits: {before} B, then {after} B; at most {batches} batches, {epochs} epochs");
        println!("{:?}", board.graph);
        assert!(board.graph.rows.load(Ordering::Relaxed) > 300, "{:?}", board.graph);
        let Body::State(state) = board.answer(Question::State).expect("it runs").body else {
            panic!("no state")
        };
        let entries = (PLAYLISTS * ENTRIES) as u64;
        assert!(state.entries.abs_diff(entries) <= TOGETHER, "{state:?}");
        // 50,000 entries, ten a batch: log2(5,000) batches are about 13.
        assert!(batches <= 18, "{batches} batches");
        assert!(epochs <= 16, "{epochs} epochs");
        // A quarter of it is noise of the allocator: the whole is small.
        assert!(after < before + before / 4, "{before} B became {after} B");
    })
    .expect("timely starts");
}
