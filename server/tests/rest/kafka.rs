//! The server with Kafka as its log: events go to the topic and come from it, whoever wrote them.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::broker::Broker;
use crate::harness::{Server, until};

fn added(playlist: &str, track: &str) -> serde_json::Value {
    json!({"v": 1, "type": "track_added", "playlist": playlist, "track": {"uri": track}, "at": "2026-01-01T00:00:00Z"})
}

#[test]
fn events_through_kafka_are_visible_and_survive_the_server() {
    let broker = Broker::start();
    broker.topic("events", 2);
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("SEGUE__KAFKA__BROKERS", &*broker.address), ("SEGUE__KAFKA__TOPIC", "events")];
    let server = Server::start_with(folder.path(), &variables);
    let events: Vec<_> = (0..20).map(|n| added(&format!("p{}", n % 7), &format!("t{n}"))).collect();
    server.events(&json!(events));
    let state = server.state();
    assert_eq!((&state["playlists"], &state["entries"]), (&json!(7), &json!(20)));
    assert_eq!(state["offsets"].as_object().expect("offsets").len(), 2, "both partitions are used: {state}");

    // A client that is not ours deletes a playlist by a tombstone, and sends a record that is no event.
    let mut kcat = Command::new("kcat")
        .args([
            "-b",
            &broker.address,
            "-t",
            "events",
            "-P",
            "-K",
            "\t",
            "-Z",
            "-X",
            "partitioner=murmur2_random",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat");
    kcat.stdin.take().expect("a pipe").write_all(b"p0\t\nx\t{\n").expect("kcat reads");
    assert!(kcat.wait().expect("kcat ends").success());
    until("both are through", || {
        let state = server.state();
        (state["playlists"] == 6 && state["dead_letters"] == 1).then_some(())
    });
    let digest = server.state()["digest"].clone();
    drop(server);

    let server = Server::start_with(folder.path(), &variables);
    assert_eq!(server.state()["digest"], digest);
    assert!(!folder.path().join("data/log").exists(), "the embedded log is not used");
}
