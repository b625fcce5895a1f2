//! `POST /v1/events`: what is taken, what is refused, and that nothing of a batch is lost.

use segue_dataflow::event::EVENT_BYTES_MAX;
use serde_json::{Value, json};

use crate::harness::{Server, segue};

const AT: &str = "2024-05-01T12:00:00Z";

fn added(playlist: &str, track: &str) -> Value {
    json!({"v": 1, "type": "track_added", "playlist": playlist, "track": {"uri": track}, "at": AT})
}

#[test]
fn an_object_an_array_and_lines() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.events(&added("p:1", "t:1"));
    let two = server.events(&json!([added("p:1", "t:2"), added("p:2", "t:1")]));
    assert_eq!((&two.body["accepted"], &two.body["rejected"]), (&json!(2), &json!([])));
    let lines = format!("{}\n\n{}\r\n", added("p:3", "t:3"), added("p:3", "t:1"));
    let reply = server.post("/v1/events", "application/x-ndjson", lines);
    assert_eq!((reply.status, &reply.body["accepted"]), (202, &json!(2)));
    server.visible(&reply);
    // Delivered again: nothing changes.
    let before = server.state();
    server.events(&json!([added("p:1", "t:2"), added("p:2", "t:1")]));
    let after = server.state();
    assert_eq!((&before["digest"], &before["entries"]), (&after["digest"], &json!(5)));
    assert_eq!(after["offsets"], json!({"0": 7}));
    assert_eq!(server.get("/v1/tokens/v1-0.8").body["visible"], false);
}

#[test]
fn the_bad_ones_are_dead_lettered_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (long, many) = ("x".repeat(513), vec![json!({"uri": "t"}); 20_001]);
    let large = "x".repeat(EVENT_BYTES_MAX);
    let good = added("p:1", "t:1").to_string();
    let bad: [(Vec<u8>, &str, &str); 13] = [
        (b"{\"type\":".to_vec(), "malformed_json", ""),
        (b"{\"type\":\"\xff\"}".to_vec(), "not_utf8", ""),
        (
            json!({"type": "track_added", "playlist": 5, "at": AT}).to_string().into(),
            "wrong_type",
            "playlist",
        ),
        (json!({"type": "eaten", "playlist": "p", "at": AT}).to_string().into(), "unknown_type", "type"),
        (
            json!({"v": 9, "type": "playlist_deleted", "playlist": "p", "at": AT}).to_string().into(),
            "unknown_version",
            "v",
        ),
        (json!({"type": "playlist_deleted", "at": AT}).to_string().into(), "missing_field", "playlist"),
        (
            json!({"type": "playlist_deleted", "playlist": "", "at": AT}).to_string().into(),
            "empty_id",
            "playlist",
        ),
        (
            json!({"type": "playlist_deleted", "playlist": "a\u{7}", "at": AT}).to_string().into(),
            "control_character",
            "playlist",
        ),
        (
            json!({"type": "playlist_deleted", "playlist": long, "at": AT}).to_string().into(),
            "id_too_long",
            "playlist",
        ),
        (
            json!({"type": "playlist_put", "playlist": "p", "tracks": many, "at": AT}).to_string().into(),
            "too_many_tracks",
            "tracks",
        ),
        (
            json!({"type": "playlist_deleted", "playlist": "p", "at": "noon"}).to_string().into(),
            "bad_time",
            "at",
        ),
        (
            json!({"type": "track_described", "track": {"uri": "t", "duration_ms": -1}, "at": AT})
                .to_string()
                .into(),
            "out_of_range",
            "track.duration_ms",
        ),
        (
            json!({"type": "playlist_titled", "playlist": "p", "title": large, "at": AT}).to_string().into(),
            "too_large",
            "",
        ),
    ];
    let mut body = Vec::new();
    for (line, ..) in &bad {
        body.extend_from_slice(line);
        body.push(b'\n');
    }
    body.extend_from_slice(good.as_bytes());
    let reply = server.post("/v1/events", "application/x-ndjson", &body);
    assert_eq!((reply.status, &reply.body["accepted"]), (202, &json!(1)), "{}", reply.body);
    server.visible(&reply);
    for (index, (_, code, field)) in bad.iter().enumerate() {
        let told = &reply.body["rejected"][index];
        assert_eq!(
            (&told["index"], &told["code"], &told["field"]),
            (&json!(index), &json!(code), &json!(field))
        );
    }
    // Alone, a bad event is a bad request; so is a body that cannot be cut into events.
    let alone = server.post("/v1/events", "application/json", json!({"type": "eaten", "at": AT}).to_string());
    assert_eq!(
        (alone.status, &alone.body["code"], &alone.body["field"]),
        (400, &json!("unknown_type"), &json!("type"))
    );
    assert_eq!(alone.body["rejected"][0]["index"], 0);
    // An array or lines are taken, whatever becomes of each event.
    for (body, kind) in [("[5]", "application/json"), ("{}", "application/x-ndjson")] {
        let reply = server.post("/v1/events", kind, body);
        let shown = (reply.status, &reply.body["accepted"], &reply.body["rejected"][0]["index"]);
        assert_eq!(shown, (202, &json!(0), &json!(0)), "{}", reply.body);
        server.visible(&reply);
    }
    for (body, kind) in
        [("[{}", "application/json"), ("", "application/json"), ("\n \n", "application/x-ndjson")]
    {
        let reply = server.post("/v1/events", kind, body);
        assert_eq!((reply.status, &reply.body["code"]), (400, &json!("malformed_json")), "{body:?}");
    }
    let state = server.state();
    assert_eq!((&state["entries"], &state["dead_letters"]), (&json!(1), &json!(19)));
    let metrics = server.admin("/metrics").body;
    assert!(
        metrics.as_str().unwrap().contains("segue_events_rejected_total{code=\"bad_time\"} 1"),
        "{metrics}"
    );
    assert_eq!(server.stop(), Some(0));

    let list = segue()
        .args(["dead-letters", "--json", "--data-dir"])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let letters: Vec<Value> =
        String::from_utf8(list.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(letters.len(), 19);
    for (index, (_, code, _)) in bad.iter().enumerate() {
        assert_eq!(letters[index]["letter"]["code"], *code);
        assert_eq!(letters[index]["letter"]["source"], "http");
        assert!(letters[index]["letter"]["position"].as_str().unwrap().ends_with(&format!(":{index}")));
    }
}

#[test]
fn a_body_too_large_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("SEGUE__LIMITS__BODY_BYTES", "1000")]);
    let reply = server.post("/v1/events", "application/json", " ".repeat(1001));
    assert_eq!((reply.status, &reply.body["code"]), (413, &json!("body_too_large")));
    server.events(&added("p:1", "t:1"));
}

#[test]
fn too_many_events_and_an_array_that_is_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("SEGUE__LIMITS__EVENTS", "3")]);
    for (body, kind) in [("[1,1,1,1]", "application/json"), ("1\n1\n1\n1\n", "application/x-ndjson")] {
        let reply = server.post("/v1/events", kind, body);
        assert_eq!((reply.status, &reply.body["code"]), (413, &json!("too_many_events")), "{body:?}");
    }
    assert_eq!(server.state()["dead_letters"], 0);
    let no_text = server.post("/v1/events", "application/json", &b"[{\"type\":\"\xff\"}]"[..]);
    assert_eq!((no_text.status, &no_text.body["code"]), (400, &json!("not_utf8")));
    let three = server.events(&json!([added("p", "a"), added("p", "b"), added("p", "c")]));
    assert!(three.body["as_of"]["epoch"].is_u64(), "{}", three.body);
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    use std::io::{Read, Write};
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("SEGUE__LIMITS__BODY_MS", "50")]);
    let mut stream = std::net::TcpStream::connect(server.api.trim_start_matches("http://")).unwrap();
    stream.write_all(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").unwrap();
    let mut said = [0; 12];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"HTTP/1.1 408");
}

#[test]
fn content_types_that_are_taken_and_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let event = added("p", "t").to_string();
    for kind in [
        "",
        "application/json; charset=utf-8",
        "application/cloudevents+json",
        "application/x-www-form-urlencoded",
        "application/x-ndjson",
        "Application/JSONL",
    ] {
        assert_eq!(server.post("/v1/events", kind, event.as_bytes()).status, 202, "{kind:?}");
    }
    for kind in ["text/xml", "application/xml; a=json", "multipart/form-data; boundary=x", "json"] {
        let reply = server.post("/v1/events", kind, event.as_bytes());
        assert_eq!((reply.status, &reply.body["code"]), (415, &json!("unsupported_media_type")), "{kind:?}");
        assert!(reply.body["detail"].as_str().unwrap().contains("application/x-ndjson"), "{}", reply.body);
    }
    assert_eq!(server.state()["dead_letters"], 0);
}
