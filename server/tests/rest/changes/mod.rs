//! The change feed from outside: what was told, put together, is what the other routes answer.

mod ends;
mod follower;
mod large;

use std::sync::OnceLock;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::harness::{Server, until};
use follower::{Copy, Follower, Graph};

const AT: &str = "2024-05-01T12:00:00Z";
const TRACKS: u32 = 60;
const SUPPORT: u64 = 3;
/// Rows so tight that they come and go, run full and are counted anew.
const TIGHT: [(&str, &str); 6] = [
    ("SEGUE__NEIGHBOURS__MIN_SUPPORT", "3"),
    ("SEGUE__NEIGHBOURS__KEEP", "8"),
    ("SEGUE__NEIGHBOURS__SAMPLE", "6"),
    ("SEGUE__NEIGHBOURS__GRID_MS", "20"),
    ("SEGUE__NEIGHBOURS__BURST", "1000"),
    ("SEGUE__CHANGES__CHARTS_MS", "50"),
];

fn uri(track: u32) -> String {
    format!("s:track:{track}")
}

fn put(playlist: impl std::fmt::Display, tracks: impl Iterator<Item = u32>) -> Value {
    let tracks: Vec<Value> = tracks.map(|track| json!({"uri": uri(track)})).collect();
    json!({"v": 1, "type": "playlist_put", "playlist": format!("p:{playlist}"), "tracks": tracks, "at": AT})
}

fn delete(playlist: impl std::fmt::Display) -> Value {
    json!({"v": 1, "type": "playlist_deleted", "playlist": format!("p:{playlist}"), "at": AT})
}

/// A random edit of few playlists, low tracks more often.
fn edit(rng: &mut ChaCha8Rng) -> Value {
    let playlist = rng.random_range(0..25);
    let track = |rng: &mut ChaCha8Rng| rng.random_range(0..TRACKS).min(rng.random_range(0..TRACKS));
    let one = |kind: &str, track: u32| json!({"v": 1, "type": kind, "playlist": format!("p:{playlist}"), "track": {"uri": uri(track)}, "at": AT});
    match rng.random_range(0..20) {
        0 => delete(playlist),
        1..5 => {
            let tracks: Vec<u32> = (0..rng.random_range(0..30)).map(|_| track(rng)).collect();
            put(playlist, tracks.into_iter())
        }
        5..14 => one("track_added", track(rng)),
        _ => one("track_removed", track(rng)),
    }
}

/// The rows of these tracks as `/neighbours` gives them, once the graph has everything through an epoch.
fn graph(server: &Server, tracks: impl Iterator<Item = String>, through: u64) -> Graph {
    until("the graph", || (server.counted("segue_graph_epoch") >= through).then_some(()));
    let mut graph = Graph::new();
    for track in tracks {
        let body = server.get(&format!("/v1/tracks/{track}/neighbours?limit=1000")).body;
        if body["playlists"].as_u64().is_some_and(|playlists| playlists >= SUPPORT) {
            let all = body["neighbours"].as_array().unwrap().iter();
            let all =
                all.map(|n| (n["track"]["uri"].as_str().unwrap().to_owned(), n["shared"].as_u64().unwrap()));
            graph.insert(track, (body["sampled"].as_u64().unwrap(), all.collect()));
        }
    }
    graph
}

fn now(server: &Server) -> u64 {
    server.state()["as_of"]["epoch"].as_u64().unwrap()
}

/// Reads a while, leaves, goes on where it was, until it has everything through an epoch.
fn come_and_go(
    server: &Server,
    query: &str,
    copy: &mut Copy,
    rng: &mut ChaCha8Rng,
    done: impl Fn() -> Option<u64>,
) -> usize {
    let mut connections = 0;
    loop {
        connections += 1;
        if copy.last.is_none() {
            // It has not been told all that was there.
            *copy = Copy::default();
        }
        let mut follower = Follower::open(server, query, copy.last.as_deref()).expect("it is kept");
        for _ in 0..rng.random_range(1..200) {
            if done().is_some_and(|through| copy.marks.is_some_and(|[as_of, ..]| as_of >= through)) {
                return connections;
            }
            copy.take(&follower.next().expect("an event"));
        }
    }
}

#[test]
fn what_was_told_is_the_graph_from_wherever_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &TIGHT);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (mut steady, mut restless, mut early) = <(Copy, Copy, Copy)>::default();
    // Whoever asks for a track that nobody has is refused.
    server.events(&json!([put("kept", 0..TRACKS / 2)]));
    // From before there is a graph.
    let mut first = Follower::open(&server, "?from=start", None).expect("a reader");
    let (mut connections, mut told) = (0, [0; 3]);
    for phase in 0..6 {
        let mut follower = Follower::open(&server, "?from=start", None).expect("a reader");
        steady = Copy::default();
        let few: Vec<String> = (0..4).map(|n| uri(phase + 7 * n)).collect();
        server.events(&json!([put("all", 0..TRACKS)]));
        let query =
            few.iter().fold("?from=start&kind=neighbours".to_owned(), |all, track| all + "&track=" + track);
        let mut filtered = (Follower::open(&server, &query, None).expect("a reader"), Copy::default());
        let mut picky = Copy::default();
        server.events(&json!([delete("all")]));
        let seeds = [rng.next_u64(), rng.next_u64()];
        let through = OnceLock::new();
        std::thread::scope(|scope| {
            let readers = [("?from=start", &mut restless), (&*query, &mut picky)].into_iter().zip(seeds);
            let going = readers.map(|((query, copy), seed)| {
                let (server, through) = (&server, &through);
                scope.spawn(move || {
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    come_and_go(server, query, copy, &mut rng, || through.get().copied())
                })
            });
            let going: Vec<_> = going.collect();
            for n in 0..120 {
                let edits: Vec<Value> = match (n, phase % 3) {
                    // More than is followed one by one.
                    (60, 1) => {
                        (0..40).map(|n| put(n, (0..TRACKS).filter(|track| (track + n) % 3 > 0))).collect()
                    }
                    // Tracks that have a row and are gone before it can be told.
                    (60 | 80, 2) => (30..40).map(|n| put(n, 100..130)).collect(),
                    (61 | 81, 2) => (30..40).map(delete).collect(),
                    _ => (0..rng.random_range(1..8)).map(|_| edit(&mut rng)).collect(),
                };
                let reply = server.post("/v1/events", "application/json", json!(edits).to_string());
                assert_eq!(reply.status, 202, "{}", reply.body);
                if n % 10 == 5 {
                    server.visible(&reply);
                }
            }
            let reply = server.events(&json!([edit(&mut rng)]));
            assert_eq!(reply.status, 202);
            let end = now(&server);
            through.set(end).expect("once");
            connections += going.into_iter().map(|going| going.join().expect("no panic")).sum::<usize>();
            steady.follow(&mut follower, end);
            early.follow(&mut first, end);
            filtered.1.follow(&mut filtered.0, end);
        });
        let expected = graph(&server, (0..TRACKS).map(uri), *through.get().expect("it is set"));
        assert!(expected.len() > 10, "{}", expected.len());
        assert_eq!(steady.graph, expected, "phase {phase}");
        assert_eq!(restless.graph, expected, "phase {phase}, with breaks");
        assert_eq!(early.graph, expected, "phase {phase}, from before the beginning");
        let mut some = expected;
        some.retain(|track, _| few.contains(track));
        assert_eq!(filtered.1.graph, some, "phase {phase}, filtered");
        assert_eq!(picky.graph, some, "phase {phase}, filtered, with breaks");
        for chart in ["popular", "trending"] {
            let shown = server.get(&format!("/v1/charts/{chart}?limit=100")).body;
            for (who, copy) in [("steady", &steady), ("restless", &restless), ("early", &early)] {
                assert_eq!(json!(copy.chart(chart)), shown["chart"], "phase {phase}: {chart}, {who}");
            }
            assert!(filtered.1.chart(chart).is_empty() && picky.chart(chart).is_empty());
        }
        told = [0, 1, 2].map(|how| told[how] + steady.told[how]);
    }
    assert!(connections > 40, "{connections}");
    assert!(told.iter().all(|told| *told > 15), "whole, changes, gone: {told:?}");
    drop((first, steady));
    assert_eq!(server.counted("segue_changes_dropped_readers_total{reason=\"too_slow\"}"), 0);
    assert!(server.counted("segue_changes_sent_events_total") > server.counted("segue_changes_events_total"));
    server.metric("segue_changes_readers", "0");
}

#[test]
fn without_a_graph_there_are_charts() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("SEGUE__NEIGHBOURS__KEEP", "0"), TIGHT[5]];
    let server = Server::start_with(folder.path(), &variables);
    let mut copies = [Copy::default(), Copy::default(), Copy::default()];
    let one = format!("?from=start&track={}", uri(1));
    server.events(&json!([put("a", 0..5), put("b", 1..5), put("c", [1].into_iter())]));
    let mut followers =
        ["?from=start", &one, ""].map(|query| Follower::open(&server, query, None).expect("a reader"));
    // From now on: from the first mark.
    copies[2].follow(&mut followers[2], 1);
    server.events(&json!([put("a", [2, 1].into_iter()), put("d", 2..3), put("b", [2].into_iter())]));
    let through = now(&server);
    copies.iter_mut().zip(&mut followers).for_each(|(copy, follower)| copy.follow(follower, through));
    let chart = server.get("/v1/charts/popular?limit=100").body["chart"].clone();
    assert_eq!(chart.as_array().unwrap().len(), 2);
    assert_eq!(json!(copies[0].chart("popular")), chart);
    assert_eq!(json!(copies[1].chart("popular")), json!([chart[1]]), "the place of the one track");
    // All that is left has moved.
    assert_eq!(json!(copies[2].chart("popular")), chart);
    assert!(copies.iter().all(|copy| copy.graph.is_empty()));
    assert_eq!(copies[0].marks.unwrap()[1], u64::MAX, "there is no graph");
}
