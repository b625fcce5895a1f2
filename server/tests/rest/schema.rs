//! The published schema of events says what decoding says.

use std::ops::ControlFlow;

use jsonschema::Validator;
use segue_dataflow::event::{Change, Event, Named, Text, Track, decode};
use segue_replay::generate::{Edits, Playlists};
use segue_replay::source::{Fault, Sink};
use serde_json::{Value, json};

use crate::harness::Server;

const FILE: &str = include_str!("../../../docs/events.schema.json");

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(FILE).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Decoded and valid.
fn check(validator: &Validator, json: &str) {
    decode(json.as_bytes()).unwrap_or_else(|rejection| panic!("{rejection}: {json}"));
    let event: Value = serde_json::from_str(json).unwrap();
    validator.validate(&event).unwrap_or_else(|error| panic!("{error}: {json}"));
}

#[test]
fn it_is_served_as_it_stands_in_the_docs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let served = server.get("/v1/events/schema");
    assert_eq!(
        (served.status, served.headers["content-type"].as_bytes()),
        (200, &b"application/schema+json"[..])
    );
    assert_eq!(served.body, serde_json::from_str::<Value>(FILE).unwrap());
    assert_eq!(server.post("/v1/events/schema", "application/json", "{}").headers["allow"], "GET");
}

/// Checks what it is given, up to a number.
struct Checker<'a>(&'a Validator, u32);

impl Sink for Checker<'_> {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        check(self.0, &event.to_json());
        self.1 -= 1;
        if self.1 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn fault(&mut self, fault: Fault) {
        panic!("{fault}");
    }
}

#[test]
fn what_is_generated_is_valid() {
    let validator = validator();
    let mut playlists = Checker(&validator, 20_000);
    let _ = Playlists::new(1, 500).events(&mut playlists);
    let mut edits = Checker(&validator, 5_000);
    let _ = Edits::new(1, 500).try_for_each(|edit| edits.event(&edit));
    assert_eq!((playlists.1, edits.1), (0, 0));
}

#[test]
fn every_type_and_what_it_may_leave_out_is_valid() {
    let validator = validator();
    let named = Track {
        uri: "t:1".into(),
        name: Some("One \"quoted\" ✓".into()),
        artist: Some(Named { uri: "a:1".into(), name: Some("Artist".into()) }),
        album: Some(Named { uri: "b:1".into(), name: None }),
        duration_ms: Some(u32::MAX),
    };
    let playlist = Text::from("p:1");
    for change in [
        Change::PlaylistPut {
            playlist: playlist.clone(),
            title: Some("T".into()),
            tracks: vec![named.clone()],
        },
        Change::PlaylistPut { playlist: playlist.clone(), title: None, tracks: vec![] },
        Change::PlaylistTitled { playlist: playlist.clone(), title: "".into() },
        Change::TrackAdded { playlist: playlist.clone(), track: named.clone() },
        Change::TrackRemoved { playlist: playlist.clone(), track: "t:1".into() },
        Change::PlaylistDeleted { playlist },
        Change::TrackDescribed { track: named },
        Change::TrackForgotten { track: "t:1".into() },
    ] {
        check(&validator, &Event { at_ms: 1_714_564_800_123, change }.to_json());
    }
    let at = "2024-05-01T12:00:00+02:00";
    for event in [
        json!({"type": "playlist_deleted", "playlist": "p", "at": at}),
        json!({"v": null, "type": "playlist_put", "playlist": "p", "title": null, "tracks": [], "at": at}),
        json!({"v": 1, "type": "playlist_deleted", "playlist": "p", "track": {}, "at": at, "more": [1]}),
        json!({"type": "track_described", "track": {"uri": "t", "name": null, "artist": null, "album": null, "duration_ms": null}, "at": at}),
        json!({"type": "track_removed", "playlist": "p", "track": {"uri": "t", "duration_ms": -1}, "at": at}),
        json!({"type": "playlist_put", "playlist": "x".repeat(512), "tracks": vec![json!({"uri": "t"}); 20_000], "at": at}),
    ] {
        check(&validator, &event.to_string());
    }
}

#[test]
fn what_is_refused_is_not_valid() {
    let validator = validator();
    let at = "2024-05-01T12:00:00Z";
    let described = |track: Value| json!({"type": "track_described", "track": track, "at": at});
    let deleted = |playlist: Value| json!({"type": "playlist_deleted", "playlist": playlist, "at": at});
    let put = |tracks: Value| json!({"type": "playlist_put", "playlist": "p", "tracks": tracks, "at": at});
    for event in [
        json!("playlist_deleted"),
        deleted(json!(7)),
        deleted(json!(null)),
        deleted(json!("")),
        deleted(json!("a\u{7}b")),
        deleted(json!("a\u{85}b")),
        deleted(json!("x".repeat(513))),
        json!({"type": "playlist_eaten", "playlist": "p", "at": at}),
        json!({"type": null, "playlist": "p", "at": at}),
        json!({"v": 2, "type": "playlist_deleted", "playlist": "p", "at": at}),
        json!({"v": "1", "type": "playlist_deleted", "playlist": "p", "at": at}),
        json!({"playlist": "p", "at": at}),
        json!({"type": "playlist_deleted", "at": at}),
        json!({"type": "playlist_deleted", "playlist": "p"}),
        json!({"type": "playlist_deleted", "playlist": "p", "at": "yesterday"}),
        json!({"type": "playlist_deleted", "playlist": "p", "at": 1}),
        json!({"type": "playlist_deleted", "playlist": "p", "tracks": 5, "at": at}),
        json!({"type": "playlist_deleted", "playlist": "p", "track": {"artist": 5}, "at": at}),
        json!({"type": "playlist_titled", "playlist": "p", "at": at}),
        json!({"type": "playlist_titled", "playlist": "p", "title": null, "at": at}),
        json!({"type": "track_added", "playlist": "p", "at": at}),
        json!({"type": "track_added", "track": {"uri": "t"}, "at": at}),
        json!({"type": "track_removed", "playlist": "p", "track": {}, "at": at}),
        json!({"type": "track_forgotten", "track": {"uri": ""}, "at": at}),
        json!({"type": "playlist_put", "playlist": "p", "at": at}),
        put(json!({})),
        put(json!(["t"])),
        put(json!([{"uri": "t"}, {"name": "without"}])),
        put(json!(vec![json!({"uri": "t"}); 20_001])),
        described(json!({"uri": "t", "name": 5})),
        described(json!({"uri": "t", "duration_ms": "5"})),
        described(json!({"uri": "t", "duration_ms": -1})),
        described(json!({"uri": "t", "duration_ms": 1.5})),
        described(json!({"uri": "t", "duration_ms": 4_294_967_296_u64})),
        described(json!({"uri": "t", "artist": {"name": "x"}})),
        described(json!({"uri": "t", "album": {"uri": ""}})),
    ] {
        let json = event.to_string();
        let shown = &json[..json.len().min(200)];
        assert!(decode(json.as_bytes()).is_err(), "decoded: {shown}");
        assert!(!validator.is_valid(&event), "valid: {shown}");
    }
}
