//! Events go to the topic and come from it, whoever wrote them, however often.

use serde_json::json;

use super::{Topic, added, line, reached};
use crate::harness::{Server, until};
use crate::twin::Twin;

#[test]
fn events_through_kafka_are_visible_and_survive_the_server() {
    let topic = Topic::new("events", 2);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &topic.variables());
    let events: Vec<_> = (0..20).map(|n| added(&format!("p{}", n % 7), &format!("t{n}"))).collect();
    server.events(&json!(events));
    let state = server.state();
    assert_eq!((&state["playlists"], &state["entries"]), (&json!(7), &json!(20)));
    assert_eq!(state["offsets"].as_object().unwrap().len(), 2, "both partitions are used: {state}");

    // A client that is not ours deletes a playlist by a tombstone, and sends a record that is no event.
    topic.produce(b"p0\t\nx\t{\n", &[]);
    until("both are through", || {
        let state = server.state();
        (state["playlists"] == 6 && state["dead_letters"] == 1).then_some(())
    });
    let digest = server.state()["digest"].clone();
    drop(server);

    let server = Server::start_with(folder.path(), &topic.variables());
    assert_eq!(server.state()["digest"], digest);
    assert!(!folder.path().join("data/log").exists(), "the embedded log is not used");
}

#[test]
fn records_that_come_twice_change_nothing() {
    let topic = Topic::new("doubles", 3);
    let folder = tempfile::tempdir().unwrap();
    let (mut twin, mut lines) = (Twin::default(), Vec::new());
    for n in 0..3_000_u32 {
        let mut event = added(&format!("p{}", n % 41), &format!("t{}", n * n % 97));
        if n % 3 == 0 {
            event["type"] = json!("track_removed");
        }
        twin.apply(event.to_string().as_bytes());
        (0..1 + n % 2).for_each(|_| lines.extend(line(&event)));
    }
    topic.produce(&lines, &[]);
    let server = Server::start_with(folder.path(), &topic.variables());
    let state = reached(&server, 4_500);
    assert_eq!((&state["digest"], &state["entries"]), (&json!(twin.digest()), &json!(twin.entries())));
}
