//! Two URIs under one id: the second is refused and dead-lettered with its bytes, whatever ends in between. No two
//! real URIs that share an id are known, so all playlists share one here.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Server, segue, until};
use crate::kafka::{Topic, added};
use crate::snapshots::text;
use crate::twin::{Twin, log_of};

const ONE_ID: &str = "pump::one_id=return";
const OFTEN: [(&str, &str); 2] = [("SEGUE__SNAPSHOTS__EVERY", "10ms"), ("FAILPOINTS", ONE_ID)];

/// By position, the bytes of all letters; each must be of a taken id.
fn letters(folder: &Path) -> BTreeMap<String, String> {
    let mut command = segue();
    command.args(["dead-letters", "list", "--limit", "1000000", "--json", "--data-dir"]);
    let listed = command.arg(folder.join("data")).output().expect("the binary starts");
    let mut all = BTreeMap::new();
    for line in text(&listed.stdout).lines() {
        let letter = serde_json::from_str::<Value>(line).expect("JSON")["letter"].clone();
        assert_eq!(letter["code"], "id_taken");
        let position = letter["position"].as_str().expect("text").to_owned();
        let raw = letter["raw"]["text"].as_str().expect("text").to_owned();
        assert_eq!(all.insert(position.clone(), raw), None, "{position} twice");
    }
    all
}

/// What is on the log must be in the state, or in a letter.
fn check(folder: &Path, step: &str) {
    let log = log_of(folder);
    let (mut twin, mut expected) = (Twin::default(), BTreeMap::new());
    for (offset, event) in log.iter().enumerate() {
        let event = std::str::from_utf8(event).expect("text");
        match event.contains("\"playlist\":\"one\"") {
            true => twin.apply(event.as_bytes()),
            false => drop(expected.insert(format!("0:{offset}"), event.to_owned())),
        }
    }
    let server = Server::start_with(folder, &OFTEN);
    until("all letters", || (server.state()["dead_letters"] == json!(expected.len())).then_some(()));
    assert_eq!(letters(folder), expected, "{step}");
    let state = server.state();
    assert_eq!((&state["digest"], &state["playlists"]), (&json!(twin.digest()), &json!(1)), "{step}");
}

#[test]
fn a_taken_id_has_its_letter_wherever_the_process_ends() {
    for step in ["dead_letters::write", "dead_letters::written", "snapshot::manifest", "snapshot::done"] {
        for passed in [0, 2, 5] {
            let folder = tempfile::tempdir().unwrap();
            let ends = format!("{ONE_ID};{step}={passed}*off->return");
            let variables = [OFTEN[0], ("FAILPOINTS", &*ends)];
            let server = Server::launch(segue(), folder.path(), &variables);
            for n in 0_u32.. {
                let events = json!([added("one", &n.to_string()), added("another", &n.to_string())]);
                if server.try_post("/v1/events", "application/json", events.to_string()).is_none() {
                    break;
                }
                assert!(n < 100_000, "{step} is never reached");
            }
            assert_eq!(server.ended(), None, "{step}: ended by a signal");
            check(folder.path(), step);
        }
    }
}

#[test]
fn no_snapshot_is_taken_past_a_letter_that_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let pauses = format!("{ONE_ID};dead_letters::write=pause");
    let server = Server::start_with(folder.path(), &[("FAILPOINTS", &*pauses)]);
    server.events(&json!([added("one", "t")]));
    assert_eq!(server.post_admin("/snapshots").status, 201);
    server.events(&json!([added("another", "t")]));
    let refused = server.post_admin("/snapshots");
    assert_eq!(refused.status, 503);
    let why = refused.body.as_str().expect("text");
    assert!(why.contains("dead letters that are not written by now"), "{why}");
    let ready = server.admin("/readyz");
    assert_eq!((ready.status, ready.body["checks"]["snapshots"].is_string()), (200, true), "{}", ready.body);
    server.signal("KILL");
    drop(server);
    check(folder.path(), "paused");
}

#[test]
fn on_kafka_the_letter_is_the_record() {
    let (topic, folder) = (Topic::new("collides", 2), tempfile::tempdir().unwrap());
    let variables = [&topic.variables()[..], &[OFTEN[1]]].concat();
    let server = Server::start_with(folder.path(), &variables);
    server.events(&json!([added("one", "t")]));
    let records: Vec<Value> = (0..20).map(|n| added(&format!("p{n}"), "t")).collect();
    server.events(&json!(records));
    until("all letters", || (server.state()["dead_letters"] == 20).then_some(()));
    let written = topic.consume(&topic.dead_letters(), "%k %s\n");
    let mut written: Vec<&str> = text(&written).lines().collect();
    written.sort_unstable();
    let mut expected: Vec<String> =
        records.iter().map(|event| format!("{} {event}", event["playlist"].as_str().unwrap())).collect();
    expected.sort_unstable();
    assert_eq!(written, expected);
}
