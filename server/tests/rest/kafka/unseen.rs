//! Offsets that hold no record: what was taken back, what was compacted away, and the marks of transactions.
//! That everything is read is decided by the position, not by the records.

use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;

use super::{Topic, added, line};
use crate::harness::{Server, until};
use crate::twin::Twin;

const PATIENCE: Duration = Duration::from_secs(30);

/// Another producer's records, and whether it stands by them.
fn transaction(topic: &Topic, name: &str, events: &[serde_json::Value], stands: bool) {
    let producer: BaseProducer = topic.client(&[("transactional.id", name)]).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    for event in events {
        let (key, payload) = (event["playlist"].as_str().unwrap(), event.to_string());
        let record = BaseRecord::to(name).partition(0).key(key).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    match stands {
        true => producer.commit_transaction(PATIENCE).unwrap(),
        false => producer.abort_transaction(PATIENCE).unwrap(),
    }
}

#[test]
fn what_another_producer_takes_back_never_shows() {
    let topic = Topic::new("aborted", 1);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &topic.variables());
    let events = |from: u32| (from..from + 5).map(|n| added("p", &n.to_string())).collect::<Vec<_>>();
    transaction(&topic, "aborted", &events(0), false);
    transaction(&topic, "aborted", &events(5), true);
    transaction(&topic, "aborted", &events(10), false);
    let mut twin = Twin::default();
    events(5).iter().for_each(|event| twin.apply(event.to_string().as_bytes()));
    // 15 records and three marks, the last six of them nothing that anybody sees.
    let all_is_read = |server: &Server| {
        let state = until("the end", || Some(server.state()).filter(|state| state["offsets"]["0"] == 18));
        assert_eq!((&state["digest"], &state["entries"]), (&json!(twin.digest()), &json!(5)));
        server.metric("segue_log_lag_records{partition=\"0\"}", "0");
    };
    all_is_read(&server);
    drop(server);
    all_is_read(&Server::start_with(folder.path(), &topic.variables()));
}

#[test]
fn a_compacted_topic_is_read_to_its_end() {
    let configurations = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "0"),
    ];
    let topic = Topic::with("compacted", &configurations);
    let put = |playlist: u32, round: u32| {
        let tracks = [json!({"uri": format!("t{round}")}), json!({"uri": format!("u{playlist}")})];
        json!({"v": 1, "type": "playlist_put", "playlist": format!("p{playlist}"), "tracks": tracks,
               "at": "2026-01-01T00:00:00Z"})
    };
    let mut twin = Twin::default();
    for round in 0..5 {
        let lines: Vec<_> = (0..40).flat_map(|playlist| line(&put(playlist, round))).collect();
        topic.produce(&lines, &[]);
    }
    (0..30).for_each(|playlist| twin.apply(put(playlist, 4).to_string().as_bytes()));
    let tombstones: String = (30..40).map(|playlist| format!("p{playlist}\t\n")).collect();
    topic.produce(tombstones.as_bytes(), &[]);
    transaction(&topic, "compacted", &[put(7, 9)], false);
    // 210 records, one that was taken back, its mark.
    until("compaction", || (topic.consume("compacted", "x").len() < 100).then_some(()));
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &topic.variables());
    let state = server.state();
    assert_eq!((&state["offsets"]["0"], &state["digest"]), (&json!(212), &json!(twin.digest())));
    server.metric("segue_log_lag_records{partition=\"0\"}", "0");
}
