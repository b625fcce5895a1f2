//! What would have been recommended before an event, found out after it: the twin's answer from before.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::edit::Edit;
use segue_dataflow::event::{Change, Event};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{Body, Foreseen, Pin, Question, Recommend, Seeds};
use segue_dataflow::settings::Settings;
use segue_dataflow::workers::{Answers, Batch};

use crate::history::{World, history, playlist};
use crate::twin::Twin;
use crate::workers::start;

const LIMIT: usize = 20;

fn foreseen(twin: &Twin, playlist: PlaylistId, track: TrackId) -> Option<Foreseen> {
    let answer = |question| twin.answer(&question, &Settings::default());
    let holding = |track| match answer(Question::Track(track)) {
        Body::Track(found) => found.map_or(0, |found| found.playlists),
        other => panic!("{other:?}"),
    };
    let Body::Playlist(there) = answer(Question::Playlist(playlist)) else { panic!("no playlist") };
    let there = there?;
    if there.tracks.iter().any(|card| TrackId::of(&card.uri) == track) {
        return None;
    }
    let wanted = Recommend::new(Seeds::Playlist(playlist), LIMIT);
    let Body::Recommendations(Some(found)) = answer(Question::Recommend(wanted)) else { panic!("none") };
    let shown = found.tracks.iter().map(|one| TrackId::of(&one.track.uri));
    let shown = shown.map(|track| (track, holding(track))).collect();
    let (seeds, holding) = (there.playlist.entries, holding(track));
    Some(Foreseen { seeds, holding, tracks: twin.state().tracks, shown })
}

#[test]
fn a_pin_from_before_an_event_never_includes_it() {
    let world = World { playlists: 15, tracks: 50, epochs: 400, fixed_names: false };
    let (mut compared, mut hits) = (0, 0);
    for (seed, workers) in (500..506).zip([1, 2, 4, 1, 2, 4]) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let events: Vec<Event<'static>> =
            history(seed, world).into_iter().flat_map(|epoch| epoch.events).collect();
        let (engine, watch) = start(workers, Answers::Readers(1), None);
        assert!(engine.pin().is_none_or(|pin| pin.foresee(PlaylistId(1), TrackId(1), 1).is_none()));
        let mut twin = Twin::default();
        let mut pinned: Vec<(Pin, PlaylistId, TrackId, Option<Foreseen>)> = Vec::new();
        for (next, event) in (1..).zip(&events) {
            if let Change::TrackAdded { playlist: uri, track } = &event.change
                && rng.random_bool(0.2)
            {
                watch.wait(0, next - 1);
                let (playlist, track) = (PlaylistId::of(uri), TrackId::of(&track.uri));
                let pin = engine.pin().expect("there are epochs");
                pinned.push((pin, playlist, track, foreseen(&twin, playlist, track)));
            }
            twin.apply(event);
            let edits = vec![Edit::new(next - 1, event)];
            engine.feed(Batch { edits, partition: 0, next }).expect("running");
            // Many epochs later, and in no order.
            while pinned.len() > 10 {
                let (pin, playlist, track, expected) = pinned.swap_remove(rng.random_range(0..pinned.len()));
                let found = pin.foresee(playlist, track, LIMIT);
                assert_eq!(found, expected, "seed {seed}, {workers} workers, before event {next}");
                let hit = |found: Foreseen| found.shown.iter().any(|(shown, _)| *shown == track);
                hits += usize::from(found.is_some_and(hit));
                compared += 1;
            }
        }
        engine.stop().expect("no worker panics");
        let (pin, _, track, _) = pinned.pop().expect("some are left");
        assert_eq!(
            pin.foresee(PlaylistId::of(&playlist(1)), track, LIMIT),
            None,
            "there is nothing any more"
        );
        assert!(engine.pin().is_none());
    }
    assert!(compared > 200 && hits > 20, "{compared} compared, {hits} hits");
}
