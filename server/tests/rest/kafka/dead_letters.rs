//! The dead-letter topic: what is no event is there once, whole, and nothing else is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use segue_dataflow::event::EVENT_BYTES_MAX;
use serde_json::{Value, json};

use super::{Topic, added, line, reached};
use crate::harness::{Server, segue, until};
use crate::memory::Memory;
use crate::twin::Twin;

/// Of each kind.
const EACH: usize = 10;
const RECORDS: usize = 12_000;
/// Records behind a letter that is not written, and the bytes of each: 96 MiB.
const BEHIND: usize = 6 << 10;
const BEHIND_BYTES: usize = 16 << 10;
/// What may be fetched of them: a queue, and one fetch more.
const QUEUE_BYTES: u64 = (8 << 20) + (1 << 20);
/// At memory, before they come; four times as many afterwards.
const LOOKS: usize = 100;

/// By code, a record that is refused for that.
fn poison() -> [(&'static str, Vec<u8>); 12] {
    let with = |field: &str, value: Value| {
        let mut event = added("p", "t");
        event[field] = value;
        event.to_string().into_bytes()
    };
    let tracks: Vec<_> = (0..20_001).map(|n| json!({"uri": n.to_string()})).collect();
    let put = json!({"v": 1, "type": "playlist_put", "playlist": "p", "tracks": tracks, "at": "2026-01-01T00:00:00Z"});
    [
        ("not_utf8", b"\xc3\x28\x00\xff".to_vec()),
        ("malformed_json", b"{\"type\":".to_vec()),
        ("wrong_type", with("playlist", json!(7))),
        ("unknown_type", with("type", json!("track_eaten"))),
        ("unknown_version", with("v", json!(2))),
        ("missing_field", with("track", Value::Null)),
        ("empty_id", with("playlist", json!(""))),
        ("id_too_long", with("playlist", json!("p".repeat(513)))),
        ("control_character", with("playlist", json!("p\u{1}"))),
        ("too_many_tracks", put.to_string().into_bytes()),
        ("bad_time", with("at", json!("yesterday"))),
        ("out_of_range", with("track", json!({"uri": "t", "duration_ms": -1}))),
    ]
}

fn dead_letters(topic: &Topic, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = segue();
    command.arg("dead-letters").args(arguments).arg("--data-dir").arg(folder.join("data"));
    command.envs(topic.variables()).output().unwrap()
}

#[test]
fn poison_from_another_client_is_dead_lettered_to_the_last_record() {
    let topic = Topic::new("poisoned", 3);
    let folder = tempfile::tempdir().unwrap();
    let (poison, mut twin, mut lines) = (poison(), Twin::default(), Vec::new());
    for n in 0..RECORDS {
        if n % 100 == 50 {
            let (_, record) = &poison[n / 100 % poison.len()];
            lines.extend([format!("{n}\t").as_bytes(), record, b"\n"].concat());
        } else {
            let event = added(&format!("p{}", n % 501), &format!("t{}", n % 1_009));
            twin.apply(event.to_string().as_bytes());
            lines.extend(line(&event));
        }
    }
    topic.produce(&lines, &[]);
    let all = || topic.consume(&topic.dead_letters(), "%k %h\n");
    let server = Server::start_with(folder.path(), &topic.variables());
    for round in 0..2 {
        let state = reached(&server, RECORDS as u64);
        assert_eq!((&state["digest"], &state["entries"]), (&json!(twin.digest()), &json!(twin.entries())));
        assert_eq!(state["dead_letters"], 120, "round {round}");
    }
    // Read again from the beginning after kill -9: each is known by its position.
    drop(server);
    let server = Server::start_with(folder.path(), &topic.variables());
    let state = reached(&server, RECORDS as u64);
    assert_eq!((&state["digest"], &state["dead_letters"]), (&json!(twin.digest()), &json!(120)));
    let headers = String::from_utf8(all()).unwrap();
    let mut by_code = BTreeMap::<&str, usize>::new();
    for line in headers.lines() {
        let header =
            |name: &str| line.split([' ', ',']).find_map(|part| part.strip_prefix(name)).expect("the header");
        assert_eq!(header("topic="), "poisoned");
        *by_code.entry(header("code=")).or_default() += 1;
    }
    assert_eq!(by_code, poison.iter().map(|(code, _)| (*code, EACH)).collect());

    // Whole, and byte for byte.
    let listed = dead_letters(&topic, folder.path(), &["list", "--limit", "1000", "--json"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut seen = 0;
    for letter in listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let (_, record) = poison.iter().find(|(code, _)| letter["letter"]["code"] == *code).unwrap();
        assert_eq!((&letter["letter"]["source"], &letter["number"]), (&json!("poisoned"), &json!(seen)));
        if seen < 24 {
            let shown = dead_letters(&topic, folder.path(), &["show", &seen.to_string(), "--raw"]);
            assert!(shown.stdout == *record, "letter {seen}");
        }
        seen += 1;
    }
    assert_eq!(seen, 120);
}

#[test]
fn more_than_16_mib_is_no_event_and_the_rest_goes_on() {
    let topic = Topic::new("oversize", 1);
    let folder = tempfile::tempdir().unwrap();
    let producer: BaseProducer = topic.client(&[("message.max.bytes", "20000000")]).create().unwrap();
    let mut large = added("p", "t");
    large["track"]["name"] = json!("x".repeat(EVENT_BYTES_MAX));
    for payload in [large.to_string(), added("p", "u").to_string()] {
        producer.send(BaseRecord::to("oversize").key("p").payload(&payload)).map_err(|(e, _)| e).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    let server = Server::start_with(folder.path(), &topic.variables());
    let state = reached(&server, 2);
    assert_eq!((&state["entries"], &state["dead_letters"]), (&json!(1), &json!(1)));
    let listed = dead_letters(&topic, folder.path(), &["list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("one letter");
    let letter = &listed["letter"];
    assert_eq!((&letter["code"], &letter["position"]), (&json!("too_large"), &json!("0:0")));
    assert_eq!(letter["raw"]["bytes"], large.to_string().len());
}

#[test]
fn no_record_is_read_past_a_letter_that_is_not_written() {
    let topic = Topic::new("unwritten", 1);
    let folder = tempfile::tempdir().unwrap();
    let often = ("SEGUE__KAFKA__PROPERTIES__STATISTICS__INTERVAL__MS", "50");
    let server = Server::start_with(folder.path(), &[&topic.variables()[..], &[often]].concat());
    topic.delete(&topic.dead_letters());
    topic.produce(b"p\tno event\n", &[]);
    let told = until("it is told", || {
        let told = server.admin("/readyz").body["checks"]["log"].as_str()?.to_owned();
        (told != "ok").then_some(told)
    });
    assert!(
        told.starts_with("dead letters are not written yet, and no record after them is read: "),
        "{told}"
    );
    // What comes after it stays with the broker, all but what the queue has room for.
    let held = || server.counted("segue_log_held_bytes");
    let look = |memory: &mut Memory| {
        assert_eq!(server.state()["entries"], 0, "questions are answered");
        memory.look(&server);
        assert!(held() <= QUEUE_BYTES);
    };
    let (mut before, mut memory) = (Memory::default(), Memory::default());
    (0..LOOKS).for_each(|_| look(&mut before));
    let mut event = added("p", "t");
    event["padding"] = "x".repeat(BEHIND_BYTES).into();
    topic.produce(&line(&event).repeat(BEHIND), &[]);
    server.metric("segue_log_lag_records{partition=\"0\"}", &(BEHIND + 1).to_string());
    until("the queue is full", || (held() > QUEUE_BYTES / 2).then_some(()));
    (0..4 * LOOKS).for_each(|_| look(&mut memory));
    memory.grew_since(&before, QUEUE_BYTES);
    let dead_letters = topic.dead_letters();
    topic.make(&NewTopic::new(&dead_letters, 1, TopicReplication::Fixed(1)));
    assert_eq!(reached(&server, BEHIND as u64 + 1)["entries"], 1);
    assert_eq!(topic.consume(&dead_letters, "%s\n"), b"no event\n");
    until("readiness", || (server.admin("/readyz").status == 200).then_some(()));
}

#[test]
fn letters_are_redriven_where_they_are_events_by_now() {
    let topic = Topic::new("redriven", 2);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &topic.variables());
    // One from HTTP, one from the log, and one that a version that did not know better has refused.
    let refused = server.post("/v1/events", "application/x-ndjson", "{}");
    assert_eq!((refused.status, server.state()["dead_letters"].as_u64()), (202, Some(1)));
    topic.produce(b"p\tno event\n", &[]);
    reached(&server, 1);
    let headers = ["topic=redriven", "partition=0", "offset=7", "code=unknown_type", "reason=new", "at_ms=1"];
    let event = added("p", "t");
    let bytes = format!("bytes={}", event.to_string().len());
    let headers: Vec<&str> = headers.iter().chain([&&*bytes]).flat_map(|header| ["-H", *header]).collect();
    topic.produce_to(&topic.dead_letters(), &line(&event), &[&["-p", "0"][..], &headers].concat());

    let shown = dead_letters(&topic, folder.path(), &["show", "0"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.starts_with("number: 0\nsource: http\nposition: ") && shown.ends_with("\nbytes: 2\n\n{}"),
        "{shown}"
    );
    let redriven = dead_letters(&topic, folder.path(), &["redrive", "0-2", "9"]);
    let said = String::from_utf8(redriven.stdout).unwrap();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!((redriven.status.code(), said.len()), (Some(1), 4), "{said:?}");
    assert!(said[0].starts_with("0\tnot sent\tstill no event: missing_field: "), "{said:?}");
    assert!(said[1].starts_with("1\tnot sent\tstill no event: malformed_json: "), "{said:?}");
    assert!(said[2].starts_with("2\tsent\t"), "{said:?}");
    assert_eq!(said[3], "9\tnot sent\tthere is no such letter");
    let state = reached(&server, 2);
    assert_eq!((&state["entries"], &state["dead_letters"]), (&json!(1), &json!(2)));
    assert_eq!(dead_letters(&topic, folder.path(), &["redrive", "2"]).status.code(), Some(0));
    let none = dead_letters(&topic, folder.path(), &["show", "9"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("there is no dead letter 9"));
}
