//! A snapshot is read by any number of workers: the same digest and the same answers, there and back.

use serde_json::{Value, json};

use crate::harness::{Server, segue, until};
use crate::kills::Data;
use crate::snapshots::started;

/// Playlists and tracks that are asked about.
const ASKED: usize = 12;
/// Enough for rows in so small a graph.
const GRAPH: (&str, &str) = ("SEGUE__NEIGHBOURS__MIN_SUPPORT", "5");

/// The answer without the moment that it is of.
fn ask(server: &Server, path: &str) -> Value {
    let reply = server.get(path);
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    timeless(reply.body)
}

fn timeless(mut answer: Value) -> Value {
    let fields = answer.as_object_mut().expect("an object");
    fields.remove("as_of").expect("it is as-of something");
    fields.remove("graph");
    answer
}

/// What a server says about all kinds of things, once its graph is there.
fn answers(server: &Server) -> Vec<(String, Value)> {
    let as_of = server.state()["as_of"]["epoch"].as_u64().unwrap();
    until("the graph", || (server.counted("segue_graph_epoch") >= as_of).then_some(()));
    let chart = ask(server, "/v1/charts/popular?limit=200");
    let tracks: Vec<&str> =
        chart["chart"].as_array().unwrap().iter().filter_map(|row| row["track"]["uri"].as_str()).collect();
    let mut paths =
        vec!["/v1/charts/popular?limit=200".to_owned(), "/v1/charts/trending?limit=200".to_owned()];
    for n in 0..ASKED {
        paths.push(format!("/v1/playlists/mpd:playlist:{n}"));
        paths.push(format!("/v1/playlists/mpd:playlist:{n}/recommendations?limit=50"));
        paths.push(format!("/v1/tracks/{}/neighbours", tracks[n * n]));
        paths.push(format!("/v1/tracks/{}/with/{}", tracks[n], tracks[2 * n + 1]));
    }
    let mut all: Vec<_> = paths.into_iter().map(|path| (path.clone(), ask(server, &path))).collect();
    for seeds in [&tracks[..1], &tracks[3..8], &tracks[100..]] {
        let title = server.get("/v1/playlists/mpd:playlist:1").body["playlist"]["title"].clone();
        let wanted =
            json!({"seeds": seeds, "title": title, "limit": 60, "explain": true, "max_per_artist": 2});
        let reply = server.post("/v1/recommendations", "application/json", wanted.to_string());
        assert_eq!(reply.status, 200, "{}", reply.body);
        all.push((wanted.to_string(), timeless(reply.body)));
    }
    let state = server.state();
    all.extend(["digest", "playlists", "entries", "tracks"].map(|name| (name.into(), state[name].clone())));
    all
}

#[test]
fn snapshots_go_to_any_number_of_workers_and_back() {
    let (data, folder) = (Data::get(), tempfile::tempdir().unwrap());
    let server = Server::start_with(folder.path(), &[GRAPH]);
    let mut replay = segue();
    replay.arg("replay").arg(data.folder.path()).args(["--to", &server.api, "--json"]);
    assert!(replay.output().unwrap().status.success());
    let expected = answers(&server);
    let rows = expected.iter().filter(|(path, answer)| {
        path.ends_with("/neighbours") && answer["neighbours"].as_array().is_some_and(|row| row.len() > 5)
    });
    assert!(rows.count() > ASKED / 2, "rows to compare");
    assert_eq!(server.stop(), Some(0));
    for workers in ["1", "2", "4", "3", "1"] {
        // Each goes on from what the one before has written at its end.
        let own = [GRAPH, ("SEGUE__DATAFLOW__WORKERS", workers), ("SEGUE__SNAPSHOTS__EVERY", "1h")];
        let (server, said) = started(folder.path(), &own);
        assert!(said.contains("going on from a snapshot"), "{said}");
        for ((question, answer), (_, expected)) in answers(&server).iter().zip(&expected) {
            assert_eq!(answer, expected, "{workers} workers: {question}");
        }
        // Something there and back, so that there is something to write.
        let track = json!({"uri": "there:and:back"});
        for kind in ["track_added", "track_removed"] {
            server.events(&json!([{"v": 1, "type": kind, "playlist": "mpd:playlist:0", "track": track, "at": "2017-01-01T00:00:00Z"}]));
        }
        let written = server.post_admin("/snapshots");
        assert_eq!(written.status, 201, "{}", written.body);
        assert_eq!(server.stop(), Some(0));
    }
}
