//! `segue replay --to kafka://…` against a real broker: all events arrive, in order by key, also after a stop.

#[path = "../../connectors/tests/broker/mod.rs"]
mod broker;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use broker::Broker;
use clap::Parser;
use segue_connectors::kafka::Kafka;
use segue_connectors::log::Log;
use segue_dataflow::event::{Change, Event, decode};
use segue_replay::cli::ReplayArgs;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    replay: ReplayArgs,
}

const EVENTS: i64 = 12_000;
const PARTITIONS: u32 = 3;

fn event(n: i64) -> Event<'static> {
    let playlist = format!("p{}", n % 50).into();
    Event { at_ms: n * 1_000, change: Change::PlaylistTitled { playlist, title: n.to_string().into() } }
}

/// The times of the events on the topic, by key, in their order there.
fn read(log: &Kafka) -> BTreeMap<String, Vec<i64>> {
    let mut read: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for partition in 0..log.partitions() {
        let (mut next, end) = (0, log.end(partition).expect("a broker"));
        while next < end {
            let some = log.read(partition, next, 1 << 20).expect("a broker");
            if some.next == next {
                log.wait(partition, next, Duration::from_secs(60)).expect("a broker");
            }
            next = some.next;
            for stored in some.records {
                let payload = stored.payload.expect("an event");
                let event = decode(&payload).expect("an event");
                assert_eq!(stored.key.as_deref(), Some(event.key().as_bytes()));
                read.entry(event.key().to_owned()).or_default().push(event.at_ms);
            }
        }
    }
    read
}

#[test]
fn all_events_arrive_in_order_and_a_stopped_replay_goes_on() {
    let broker = Broker::start();
    let folder = tempfile::tempdir().expect("a folder");
    let lines = |range: std::ops::Range<i64>| {
        range.map(|n| serde_json::to_string(&event(n)).expect("JSON") + "\n").collect::<String>()
    };
    let (part, whole) = (folder.path().join("part.ndjson"), folder.path().join("whole.ndjson"));
    fs::write(&part, lines(0..7_000)).expect("a file");
    fs::write(&whole, lines(0..EVENTS)).expect("a file");
    let to = format!("kafka://{}/replayed", broker.address);
    let run = |source: &std::path::Path, more: &[&str]| {
        let source = source.to_str().expect("text");
        let arguments = ["replay", source, "--to", &to].into_iter().chain(more.iter().copied());
        Command::try_parse_from(arguments).expect("a command").replay.run(&AtomicBool::new(false))
    };
    let missing = run(&part, &[]).expect_err("no topic yet").to_string();
    assert!(missing.contains("--create-topic --partitions N"), "{missing}");
    let first = run(&part, &["--create-topic", "--partitions", "3"]).expect("a broker");
    assert_eq!((first.accepted, first.next_offset), (7_000, 7_000));
    let second =
        run(&whole, &["--from-offset", "7000", "--kafka-property", "linger.ms=5"]).expect("a broker");
    assert_eq!((second.accepted, second.next_offset), (5_000, EVENTS as u64));

    let log = Kafka::open(&broker.settings("replayed")).expect("a broker");
    assert_eq!(log.partitions(), PARTITIONS);
    let mut expected: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for n in 0..EVENTS {
        expected.entry(event(n).key().to_owned()).or_default().push(n * 1_000);
    }
    assert_eq!(read(&log), expected);
    let used = (0..PARTITIONS).filter(|p| log.end(*p).expect("a broker") > 0).count();
    assert!(used > 1, "the keys go to more than one partition");
}
