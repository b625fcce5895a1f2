//! Real playlists, where they are at hand: replayed by the binary's own `replay`, ending where the data say.

use std::path::PathBuf;

use serde_json::json;

use crate::harness::{Server, segue, until};

#[test]
fn the_playlist_archive_ends_where_it_should_and_survives_a_restart() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let archive = data.join("playlist-archive.events.ndjson.gz");
    if !archive.exists() {
        eprintln!("skipped: {} is not there", archive.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let replay = |server: &Server, source: &PathBuf| {
        let run = segue().arg("replay").arg(source).args(["--json", "--to", &server.api]).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    };
    replay(&server, &archive);
    let check = |server: &Server| {
        let state = server.state();
        let shown = [&state["playlists"], &state["entries"], &state["tracks"], &state["digest"]];
        assert_eq!(
            shown,
            [&json!(250), &json!(24_419), &json!(19_183), &json!("f9a360e967155722e62204e13cc29b18")]
        );
    };
    check(&server);
    let chart = server.get("/v1/charts/popular?limit=1").body;
    assert_eq!(chart["chart"][0]["playlists"], 74);
    let uri = chart["chart"][0]["track"]["uri"].as_str().unwrap().to_owned();
    let as_of = server.state()["as_of"]["epoch"].as_u64().unwrap();
    until("the graph", || (server.counted("segue_graph_epoch") >= as_of).then_some(()));
    let beside = server.get(&format!("/v1/tracks/{uri}/neighbours?limit=4")).body;
    let shared: Vec<u64> =
        beside["neighbours"].as_array().unwrap().iter().map(|n| n["shared"].as_u64().unwrap()).collect();
    assert_eq!(shared, [65, 60, 56, 56]);
    let server = server.again();
    check(&server);
    for slice in ["mpd.slice.0-999.json.gz", "mpd.slice.1000-1999.json.gz"] {
        replay(&server, &data.join("mpd-format").join(slice));
    }
    assert_eq!(server.state()["playlists"], 250 + 250 + 120);
}
