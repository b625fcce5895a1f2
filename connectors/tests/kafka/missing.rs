//! What Kafka does not have any more is never passed over: a typed error says what to do.

use std::time::Duration;

use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use segue_connectors::kafka::{Kafka, OpenError, Settings, topics};
use segue_connectors::log::{Error, Log, Position};

use crate::harness::{admin, drain, eventually, open, topic};
use crate::suite::{LONG, record, texts};

fn delete(settings: &Settings) {
    let (admin, options) = admin(settings);
    pollster::block_on(admin.delete_topics(&[&settings.topic], &options)).unwrap()[0].as_ref().unwrap();
}

fn filled(name: &str) -> (Settings, Kafka) {
    let settings = topic(name, 1);
    let log = open(&settings);
    log.append(&["a", "b", "c", "d", "e"].map(|text| record("k", text))).unwrap();
    (settings, log)
}

#[test]
fn deleted_records_are_a_gap() {
    let (settings, log) = filled("retention");
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&settings.topic, 0, Offset::Offset(3)).unwrap();
    let (admin, _) = admin(&settings);
    let options = AdminOptions::new().operation_timeout(Some(LONG));
    pollster::block_on(admin.delete_records(&before, &options)).unwrap();
    assert_eq!((log.begin(0), log.end(0)), (Ok(3), Ok(5)));
    for from in [0, 2] {
        let gap = Error::Gap { position: Position { partition: 0, offset: from }, begin: 3 };
        assert_eq!(log.read(0, from, 1_000), Err(gap.clone()));
        assert_eq!(log.wait(0, from, LONG), Err(gap.clone()));
        assert!(gap.to_string().contains("Start from a snapshot that reaches 3"), "{gap}");
    }
    assert_eq!(texts(&drain(&log, 0, 3).unwrap().0), ["d", "e"]);
}

#[test]
fn a_topic_that_was_made_again_is_another_log() {
    let (settings, log) = filled("made-again");
    assert_eq!(drain(&log, 0, 0).unwrap().1, 5);
    delete(&settings);
    eventually("the name is free", || topics::create(&settings, &settings.topic, 1).ok().filter(|new| *new));
    // The reader that was running, and one that starts now from where the other was.
    for log in [log, open(&settings)] {
        let error = eventually("the reader notices", || log.wait(0, 5, Duration::from_millis(100)).err());
        let past = Error::PastEnd { position: Position { partition: 0, offset: 5 }, end: 0 };
        assert_eq!(error, past);
        assert!(error.to_string().contains("start from an empty state"), "{error}");
        assert_eq!(log.read(0, 5, 1_000), Err(past));
    }
}

#[test]
fn a_topic_that_is_gone_is_told() {
    let (mut settings, _) = filled("gone");
    // Nobody takes what is appended then, and nobody makes the topic again: no need to wait for long.
    for name in ["message.timeout.ms", "topic.metadata.propagation.max.ms"] {
        settings.properties.insert(name.to_owned(), "1000".to_owned());
    }
    let log = open(&settings);
    assert_eq!(drain(&log, 0, 0).unwrap().1, 5);
    delete(&settings);
    let error = eventually("the reader notices", || log.wait(0, 5, Duration::from_millis(100)).err());
    assert!(matches!(error, Error::NoTopic { .. }), "{error}");
    assert!(error.to_string().contains("/gone: no such topic"), "{error}");
    let error = eventually("the topic is gone", || Kafka::open(&settings).err());
    assert!(matches!(error, OpenError::NoTopic { .. }), "{error}");
    assert!(matches!(
        log.append(&[record("k", "f")]),
        Err(Error::NotAppended { .. } | Error::MaybeAppended { .. })
    ));
}

#[test]
fn a_topic_with_as_many_records_as_before_is_known_by_its_first() {
    let (settings, log) = filled("as-many");
    let landmark = eventually("its landmark", || log.landmark());
    assert_eq!(landmark.position, Position { partition: 0, offset: 0 });
    assert_eq!(log.recognise(&landmark), Ok(()));
    drop(log);
    let again = || {
        delete(&settings);
        eventually("the name is free", || {
            topics::create(&settings, &settings.topic, 1).ok().filter(|new| *new)
        });
    };
    again();
    let other = Err(Error::OtherLog { path: "x".into(), position: landmark.position });
    let recognised = |log: &Kafka| {
        log.recognise(&landmark).map_err(|error| match error {
            Error::OtherLog { position, .. } => Error::OtherLog { path: "x".into(), position },
            error => error,
        })
    };
    let log = open(&settings);
    assert_eq!((recognised(&log), log.landmark()), (other.clone(), None), "it is empty");
    log.append(&["a", "b", "c", "d", "e"].map(|text| record("k", text))).unwrap();
    assert_eq!(recognised(&log), other, "the same records, at another time");
    let new = eventually("its landmark", || log.landmark());
    // A landmark that is gone proves nothing: what is left takes its place.
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&settings.topic, 0, Offset::Offset(3)).unwrap();
    let (admin, _) = admin(&settings);
    let options = AdminOptions::new().operation_timeout(Some(LONG));
    pollster::block_on(admin.delete_records(&before, &options)).unwrap();
    assert_eq!(log.recognise(&new), Ok(()));
    let left = eventually("the next landmark", || log.landmark().filter(|landmark| *landmark != new));
    assert_eq!(left.position.offset, 3);
}
