//! The graph from outside: neighbours come from rows, as fresh as the answer says, before and after a restart.

use serde_json::{Value, json};

use crate::harness::{Server, segue, until};

const AT: &str = "2024-05-01T12:00:00Z";
const SUPPORT: [(&str, &str); 2] =
    [("SEGUE__NEIGHBOURS__MIN_SUPPORT", "3"), ("SEGUE__NEIGHBOURS__GRID_MS", "20")];

fn put(name: &str, tracks: &[u32]) -> Value {
    let tracks: Vec<Value> = tracks.iter().map(|n| json!({"uri": format!("s:track:{n}")})).collect();
    json!({"v": 1, "type": "playlist_put", "playlist": format!("p:{name}"), "tracks": tracks, "at": AT})
}

/// The neighbours of track 1 once the graph has all that answers have: (sampled, [(track, shared)]).
fn neighbours(server: &Server) -> (u64, Vec<(String, u64)>) {
    let as_of = server.state()["as_of"]["epoch"].as_u64().unwrap();
    until("the graph", || (server.counted("segue_graph_epoch") >= as_of).then_some(()));
    let body = server.get("/v1/tracks/s:track:1/neighbours").body;
    let [graph, now] = ["graph", "as_of"].map(|of| body[of]["epoch"].as_u64().unwrap());
    assert!((as_of..=now).contains(&graph), "{body}");
    let all = body["neighbours"].as_array().unwrap().iter();
    let shown = |n: &Value| (n["track"]["uri"].as_str().unwrap().to_owned(), n["shared"].as_u64().unwrap());
    (body["sampled"].as_u64().unwrap(), all.map(shown).collect())
}

fn track(n: u32, shared: u64) -> (String, u64) {
    (format!("s:track:{n}"), shared)
}

#[test]
fn neighbours_are_from_rows_where_there_are_rows() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &SUPPORT);
    server.events(&json!([put("a", &[1, 2, 3]), put("b", &[1, 2, 3])]));
    // Two playlists are no support: counted, with whatever shares one.
    server.events(&json!([put("b", &[1, 2])]));
    let (sampled, counted) = neighbours(&server);
    assert_eq!((sampled, &counted[0], counted.len()), (2, &track(2, 2), 2));
    server.metric("segue_graph_rows", "0");

    server.events(&json!([put("c", &[1, 3, 4])]));
    let (sampled, row) = neighbours(&server);
    let mut expected = [track(2, 2), track(3, 2)];
    expected.sort_by_key(|(uri, _)| segue_dataflow::ids::TrackId::of(uri));
    assert_eq!((sampled, row), (3, expected.to_vec()));
    server.metric("segue_graph_rows", "1");
    server.metric("segue_graph_dirty_rows", "0");
    assert!(server.counted("segue_graph_recounts_total") >= 1);

    let add =
        json!({"v": 1, "type": "track_added", "playlist": "p:c", "track": {"uri": "s:track:2"}, "at": AT});
    server.events(&json!([add]));
    assert_eq!(neighbours(&server), (3, vec![track(2, 3), track(3, 2)]));

    drop(server);
    let server = Server::launch(segue(), folder.path(), &SUPPORT);
    until("ready", || (server.admin("/readyz").status == 200).then_some(()));
    assert_eq!(neighbours(&server), (3, vec![track(2, 3), track(3, 2)]));
    server.metric("segue_graph_rows", "2");
    server.events(&json!([{"v": 1, "type": "playlist_deleted", "playlist": "p:a", "at": AT}]));
    server.metric("segue_graph_rows", "0");
}

#[test]
fn a_start_goes_on_with_the_rows_of_the_last_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &SUPPORT);
    server.events(&json!([put("a", &[1, 2, 3]), put("b", &[1, 2, 3]), put("c", &[1, 3, 4]), put("d", &[3])]));
    let row = neighbours(&server);
    server.metric("segue_graph_rows", "2");
    assert_eq!(server.stop(), Some(0));

    // More of the same comes after it, and there is no other snapshot.
    let later = [SUPPORT[0], SUPPORT[1], ("SEGUE__SNAPSHOTS__AT_END", "false")];
    let server = Server::start_with(folder.path(), &later);
    assert_eq!(neighbours(&server), row);
    server.metric("segue_graph_rows", "2");
    server.events(&json!([put("d", &[1, 2, 3])]));
    let (sampled, next) = neighbours(&server);
    assert_eq!((sampled, next.len()), (4, 2));
    // Track 2, which has a row since.
    assert_eq!(server.counted("segue_graph_recounts_total"), 1);
    assert_eq!(server.stop(), Some(0));

    // What came after the snapshot comes again, to the rows in it.
    let server = Server::start_with(folder.path(), &later);
    assert_eq!(neighbours(&server), (sampled, next.clone()));
    assert_eq!(server.counted("segue_graph_recounts_total"), 1);
    assert_eq!(server.stop(), Some(0));

    let other = [("SEGUE__NEIGHBOURS__MIN_SUPPORT", "2"), SUPPORT[1]];
    let server = Server::start_with(folder.path(), &other);
    assert_eq!(neighbours(&server), (sampled, next));
    assert_eq!(server.counted("segue_graph_recounts_total"), 3);
}

#[test]
fn there_is_no_graph_if_none_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [SUPPORT[0], ("SEGUE__NEIGHBOURS__KEEP", "0")];
    let server = Server::start_with(folder.path(), &variables);
    server.events(&json!([put("a", &[1, 2, 3]), put("b", &[1, 2]), put("c", &[1, 3, 2])]));
    let beside = server.get("/v1/tracks/s:track:1/neighbours").body;
    assert_eq!(beside["graph"]["epoch"], beside["as_of"]["epoch"]);
    assert_eq!((&beside["sampled"], beside["neighbours"].as_array().unwrap().len()), (&json!(3), 2));
    let metrics = server.admin("/metrics").body;
    assert!(!metrics.as_str().unwrap().lines().any(|line| line.starts_with("segue_graph_")), "{metrics}");
}
