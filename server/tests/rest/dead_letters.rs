//! Records on the log that are no events, and the command that lists what was refused.

use std::path::Path;

use bytes::Bytes;
use segue_connectors::dead_letters::{DeadLetters, Origin, RAW_BYTES_MAX, Refused};
use segue_connectors::embedded::{Embedded, Options, folder_of};
use segue_connectors::log::{Log, Record};
use segue_dataflow::event::Code;
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

#[test]
fn one_is_shown_whole_and_redriven_where_it_is_an_event_by_now() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let letters = DeadLetters::open(&data.join("dead_letters")).unwrap().0;
    let refused = |payload: &[u8]| Refused {
        code: Code::UnknownType,
        field: Some("type".into()),
        detail: "refused by a version that knew less".into(),
        origin: Origin::Sent { source: "http".into(), position: "7".into() },
        at_ms: 0,
        key: None,
        payload: Some(Bytes::copy_from_slice(payload)),
    };
    let long = "x".repeat(RAW_BYTES_MAX + 1);
    let all = [added("a").as_bytes(), b"\xff\n", long.as_bytes(), added("b").as_bytes()].map(refused);
    letters.push(&mut all.to_vec()).unwrap();
    drop(letters);
    let run = |arguments: &[&str]| {
        let mut command = segue();
        let done = command.arg("dead-letters").args(arguments).arg("--data-dir").arg(&data).output().unwrap();
        (done.status.code(), done.stdout, String::from_utf8(done.stderr).unwrap())
    };
    let shown = |arguments: &[&str]| run(&[&["show"], arguments].concat()).1;
    let head = "number: 1\nsource: http\nposition: 7\ncode: unknown_type\nfield: type\n\
                reason: refused by a version that knew less\nat: 1970-01-01T00:00:00Z\nbytes: 2\n\n";
    let redrive = |arguments: &[&str]| {
        let (code, said, error) = run(&[&["redrive"], arguments].concat());
        assert_eq!(error, "");
        (code, String::from_utf8(said).unwrap())
    };
    let (code, _, error) = run(&["redrive", "0"]);
    assert!(code == Some(1) && error.contains("start it, it is what takes the records"), "{error}");
    let server = Server::start(folder.path());
    assert_eq!(shown(&["1"]), [head.as_bytes(), b"\xff\n"].concat());
    assert_eq!(shown(&["0", "--raw"]), added("a").as_bytes());
    assert_eq!(
        serde_json::from_slice::<Value>(&shown(&["1", "--json"])).unwrap()["letter"]["raw"]["base64"],
        "/wo="
    );

    let (code, said) = redrive(&["0-3", "3"]);
    let said: Vec<&str> = said.lines().collect();
    let expected = [
        "0\tsent\tv1-0.1",
        "1\tnot sent\tstill no event: not_utf8: the event is not UTF-8 from byte 0 on",
        "2\tnot sent\tonly 65536 of its 65537 bytes are kept",
        "3\tsent\tv1-0.2",
        "3\tsent\tv1-0.3",
    ];
    assert_eq!((code, said), (Some(1), expected.to_vec()));
    assert_eq!(redrive(&["0"]).0, Some(0));
    let state = until("all", || Some(server.state()).filter(|state| state["offsets"]["0"] == 4));
    assert_eq!((&state["entries"], &state["dead_letters"]), (&json!(2), &json!(4)));
    assert_eq!(run(&["redrive", "3-1"]).0, Some(2));
}
