//! At most so many by one artist, where the first hundreds of tracks are by one: the list is as long as was asked for
//! all the same, if there are so many artists. Every answer equals the twin's, on 1, 2 and 4 workers.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::event::{Change, Event, Named, Track};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{Question, Recommend, Seeds};

use crate::history::{Epoch, playlist, track};
use crate::random_histories::equals_twin;
use crate::seen::assert_seen;
use crate::spread::Spread;

/// What only these histories see.
pub const ONE: [&str; 2] = ["very many by an artist before it", "all there is"];

const PLAYLISTS: u32 = 8;
/// Tracks by the one artist.
const BIG: u32 = 1_000;
/// Tracks by others, and such whose artist nobody knows.
const OTHERS: u32 = 12;

/// Now and then all by the one artist are on more playlists than any other, and now and then some are on none.
fn history(rng: &mut ChaCha8Rng) -> Vec<Epoch> {
    let artist = |n: u32| match n {
        0..BIG => Some("a:big".to_owned()),
        n if n % 5 == 0 => None,
        n => Some(format!("a:{}", n % 4)),
    };
    let named = |n: u32| Track {
        artist: artist(n).map(|uri| Named { uri: uri.into(), name: None }),
        ..Track::new(track(n))
    };
    let mut epochs = vec![Epoch::default(); 4];
    for epoch in &mut epochs {
        let every = [1, 1, 2, 100][rng.random_range(0..4)];
        let mut some: Vec<u32> = (0..PLAYLISTS).collect();
        some.retain(|_| rng.random_bool(0.7));
        for p in some {
            // One by another artist is as common as those by the one.
            let (other, common) = (rng.random_range(BIG..BIG + OTHERS), BIG + 1);
            let tracks = (0..BIG).filter(|n| n % every == 0).chain([other, common]).map(named).collect();
            let title = rng.random_bool(0.5).then(|| "Chill".into());
            let change = Change::PlaylistPut { playlist: playlist(p).into(), title, tracks };
            epoch.events.push(Event { at_ms: 0, change });
        }
        for _ in 0..8 {
            let seeds = match rng.random_range(0..4) {
                0 => Seeds::Playlist(PlaylistId::of(&playlist(rng.random_range(0..PLAYLISTS)))),
                some => Seeds::Tracks(
                    (1..some).map(|_| TrackId::of(&track(rng.random_range(0..BIG + OTHERS)))).collect(),
                ),
            };
            epoch.questions.push(Question::Recommend(Recommend {
                title: rng.random_bool(0.3).then(|| "Chill".into()),
                max_per_artist: Some(rng.random_range(1..4)),
                explain: rng.random_bool(0.3),
                ..Recommend::new(seeds, rng.random_range(1..9))
            }));
        }
    }
    epochs
}

#[test]
fn a_list_goes_on_behind_hundreds_of_tracks_by_one_artist() {
    let runs = (800..818).zip([1, 2, 4].into_iter().cycle());
    let seen = runs.map(|(seed, workers)| {
        equals_twin(&history(&mut ChaCha8Rng::seed_from_u64(seed)), Spread::threads(workers), seed).1
    });
    let others = ["similar playlists", "a like title", "popularity"];
    assert_seen(seen, &ONE.into_iter().chain(others).map(|what| (what, 9)).collect::<Vec<_>>());
}
