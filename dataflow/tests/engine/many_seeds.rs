//! Recommendations for many seeds: long playlists that share their tracks, asked about in order, at random and as
//! they stand, on 1, 2 and 4 workers. Every answer equals the twin's.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::event::{Change, Event, Named, Track};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{Question, Recommend, Seeds};

use crate::history::{Epoch, playlist, track};
use crate::random_histories::equals_twin;
use crate::seen::Seen;
use crate::spread::Spread;

const PLAYLISTS: u32 = 24;
const TRACKS: u32 = 700;

/// What only these histories see.
pub const MANY: [&str; 3] =
    ["later seeds count more", "seeds before the last 200", "more seeds than are looked at"];

/// Fives of tracks that are on the same playlists, as those of an album are.
fn some_tracks(rng: &mut ChaCha8Rng, many: u32) -> Vec<u32> {
    let mut fives: Vec<u32> = (0..TRACKS / 5).collect();
    fives.shuffle(rng);
    fives.into_iter().flat_map(|five| 5 * five..5 * five + 5).take(many as usize).collect()
}

fn history(rng: &mut ChaCha8Rng) -> Vec<Epoch> {
    let by = |n: u32| Some(Named { uri: format!("a:{}", n / 30).into(), name: None });
    let named = |n: u32| Track { artist: by(n), ..Track::new(track(n)) };
    let put = |rng: &mut ChaCha8Rng, p: u32| {
        let many = rng.random_range(60..250);
        let tracks = some_tracks(rng, many).into_iter().map(named).collect();
        Change::PlaylistPut { playlist: playlist(p).into(), title: Some("Chill Hits".into()), tracks }
    };
    let mut epochs = vec![Epoch::default()];
    epochs[0].events = (0..PLAYLISTS).map(|p| Event { at_ms: 0, change: put(rng, p) }).collect();
    for _ in 0..3 {
        let changes: Vec<Change<'static>> = (0..20)
            .map(|_| {
                let (p, n) = (rng.random_range(0..PLAYLISTS), rng.random_range(0..TRACKS));
                match rng.random_range(0..20) {
                    0 => put(rng, p),
                    1..10 => Change::TrackAdded { playlist: playlist(p).into(), track: named(n) },
                    _ => Change::TrackRemoved { playlist: playlist(p).into(), track: track(n).into() },
                }
            })
            .collect();
        let events = changes.into_iter().map(|change| Event { at_ms: 0, change }).collect();
        epochs.push(Epoch { events, questions: Vec::new() });
    }
    for epoch in &mut epochs {
        let asked =
            Recommend::new(Seeds::Playlist(PlaylistId::of(&playlist(rng.random_range(0..PLAYLISTS)))), 30);
        epoch.questions.push(Question::Recommend(asked));
        for many in [10, 49, 50, 120, 201, 320, 560] {
            let tracks = some_tracks(rng, many).into_iter().map(|n| TrackId::of(&track(n))).collect();
            epoch.questions.push(Question::Recommend(Recommend {
                title: rng.random_bool(0.3).then(|| "gym hits".into()),
                random_seeds: rng.random_bool(0.3),
                explain: rng.random_bool(0.3),
                ..Recommend::new(Seeds::Tracks(tracks), 100)
            }));
        }
    }
    epochs
}

#[test]
fn seeds_by_the_hundred() {
    let (mut all, mut answers) = (Seen::new(), 0);
    for (seed, workers) in (700..712).zip([1, 2, 4].into_iter().cycle()) {
        let (compared, seen) =
            equals_twin(&history(&mut ChaCha8Rng::seed_from_u64(seed)), Spread::threads(workers), seed);
        answers += compared;
        seen.into_iter().for_each(|(what, times)| *all.entry(what).or_default() += times);
    }
    println!("{answers} answers, {all:?}");
    for what in MANY.into_iter().chain(["seeds at random", "seeds told apart by samples"]) {
        assert!(all.get(what).is_some_and(|times| *times >= 10), "hardly ever: {what}");
    }
}
