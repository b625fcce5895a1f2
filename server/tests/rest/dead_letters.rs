//! Records on the log that are no events, and the command that lists what was refused.

use std::path::Path;

use segue_connectors::embedded::{Embedded, Options, folder_of};
use segue_connectors::log::{Log, Record};
use serde_json::{Value, json};

use crate::harness::{Server, segue, until};
use crate::twin::Twin;

fn added(track: &str) -> String {
    json!({"v": 1, "type": "track_added", "playlist": "p", "track": {"uri": track}, "at": "2024-05-01T12:00:00Z"})
        .to_string()
}

/// What the command lists.
fn listed(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let mut list = segue();
    list.arg("dead-letters").args(arguments).args(["--json", "--data-dir"]).arg(folder.join("data"));
    let list = list.output().unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    String::from_utf8(list.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn bad_records_on_the_log_are_passed_over_and_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let records =
        [added("a"), "{\"type\":".to_owned(), added("b"), r#"{"type":"eaten"}"#.to_owned(), added("c")];
    let log = Embedded::open(&folder_of(&folder.path().join("data")), Options::default()).unwrap().log;
    for record in &records {
        log.append(&[Record { key: "p", payload: record.clone().into() }]).unwrap();
    }
    drop(log);
    let mut twin = Twin::default();
    [0, 2, 4].iter().for_each(|good: &usize| twin.apply(records[*good].as_bytes()));

    let server = Server::start(folder.path());
    let state = until("both letters", || Some(server.state()).filter(|state| state["dead_letters"] == 2));
    assert_eq!((&state["digest"], &state["offsets"]["0"]), (&json!(twin.digest()), &json!(5)));
    let letters = listed(folder.path(), &[]);
    let shown = |letter: &Value| {
        let letter = &letter["letter"];
        [&letter["source"], &letter["position"], &letter["code"], &letter["raw"]["text"]]
            .map(Value::to_string)
    };
    let text = |text: &str| json!(text).to_string();
    assert_eq!(
        letters.iter().map(shown).collect::<Vec<_>>(),
        [
            [text("log"), text("0:1"), text("malformed_json"), text(&records[1])],
            [text("log"), text("0:3"), text("missing_field"), text(&records[3])],
        ]
    );
    // Read again from the beginning, after kill -9 and after an orderly end.
    let server = server.again();
    assert_eq!(server.state()["digest"], twin.digest());
    assert_eq!(server.stop(), Some(0));
    assert_eq!(listed(folder.path(), &[]), letters);
}

#[test]
fn they_are_listed_while_the_server_runs_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let bad: Vec<String> = (0..250).map(|n| format!(r#"{{"type":"eaten","at":"{n}"}}"#)).collect();
    let reply = server.post("/v1/events", "application/x-ndjson", bad.join("\n"));
    assert_eq!((reply.status, &reply.body["accepted"]), (202, &json!(0)));
    let numbers = |arguments: &[&str]| -> Vec<u64> {
        let letters = listed(folder.path(), arguments);
        for letter in &letters {
            let number = letter["number"].as_u64().unwrap();
            assert_eq!(letter["letter"]["raw"]["text"], bad[number as usize]);
        }
        letters.iter().map(|letter| letter["number"].as_u64().unwrap()).collect()
    };
    let all = || {
        assert_eq!(numbers(&["list", "--limit", "1000"]), (0..250).collect::<Vec<_>>());
        assert_eq!(numbers(&[]), (0..100).collect::<Vec<_>>());
        assert_eq!(numbers(&["list", "--from", "120", "--limit", "120"]), (120..240).collect::<Vec<_>>());
        assert_eq!(numbers(&["--from", "250"]), [0; 0]);
    };
    all();
    assert_eq!(server.admin("/dead-letters?from=249").body.as_array().unwrap().len(), 1);
    assert_eq!(server.admin("/dead-letters?form=249").status, 400);
    assert_eq!(server.stop(), Some(0));
    all();
    let nothing = segue().args(["dead-letters", "--data-dir"]).arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&nothing.stderr);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(said.contains("there are no dead letters here"), "{said}");
}
