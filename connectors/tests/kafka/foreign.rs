//! Records of producers that are not ours: tombstones, any bytes, transactions, and a client that shares no
//! code with us but librdkafka (kcat).

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rdkafka::Message;
use rdkafka::admin::NewPartitions;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use segue_connectors::dead_letters::{DeadLetters, Origin, RAW_BYTES_MAX, Refused};
use segue_connectors::kafka::Settings;
use segue_connectors::kafka::dead_letters::DeadLetterTopic;
use segue_connectors::log::{Log, Position, Stored};
use segue_dataflow::event::Code;

use crate::harness::{
    Written, admin, committed, drain, eventually, open, produce, shared, topic, transactional,
};
use crate::suite::{LONG, record, texts};

fn stored(offset: u64, key: Option<&'static [u8]>, payload: Option<&'static [u8]>) -> Stored {
    Stored { offset, key: key.map(Bytes::from_static), payload: payload.map(Bytes::from_static) }
}

#[test]
fn keys_and_payloads_are_as_they_were_written() {
    let settings = topic("as-written", 1);
    let log = open(&settings);
    let producer = ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
    let records: [Written<'static>; 5] = [
        (Some(b"tombstone"), None),
        (None, Some(b"no key")),
        (Some(b""), Some(b"")),
        (Some(b"\xff\x00key"), Some(b"\xc3\x28 is no UTF-8 \x00")),
        (None, None),
    ];
    produce(&producer, &settings.topic, &records);
    let expected: Vec<Stored> =
        records.iter().zip(0..).map(|((key, payload), n)| stored(n, *key, *payload)).collect();
    assert_eq!(drain(&log, 0, 0), Ok((expected, 5)));
}

#[test]
fn kcat_writes_what_we_read_and_reads_what_we_write() {
    let settings = topic("kcat", 1);
    let log = open(&settings);
    let kcat = |arguments: &[&str]| {
        let mut kcat = Command::new("kcat");
        kcat.args(["-b", &settings.brokers, "-t", &settings.topic]).args(arguments);
        kcat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut producer = kcat(&["-P", "-K", "\t", "-Z", "-T"]);
    producer.stdin.take().unwrap().write_all(b"p\t{\"v\":1}\np\t\n").unwrap();
    assert!(producer.wait().unwrap().success());
    let expected = vec![stored(0, Some(b"p"), Some(b"{\"v\":1}")), stored(1, Some(b"p"), None)];
    assert_eq!(drain(&log, 0, 0), Ok((expected, 2)));
    log.append(&[record("k", "ours")]).unwrap();
    let reader = kcat(&["-C", "-e", "-q", "-o", "2", "-f", "%k=%s"]).wait_with_output().unwrap();
    assert_eq!(String::from_utf8(reader.stdout).unwrap(), "k=ours");
}

#[test]
fn aborted_records_never_show_and_open_ones_not_yet() {
    let settings = topic("transactions", 1);
    let log = open(&settings);
    let producer = transactional(&settings);
    let send = |texts: &[&str]| {
        let records: Vec<_> = texts.iter().map(|text| (Some(&b"k"[..]), Some(text.as_bytes()))).collect();
        produce(&producer, &settings.topic, &records);
    };
    let end = |committed| {
        let end = |producer: &BaseProducer| match committed {
            true => producer.commit_transaction(LONG),
            false => producer.abort_transaction(LONG),
        };
        end(&producer).unwrap();
    };

    producer.begin_transaction().unwrap();
    send(&["never 1", "never 2"]);
    assert_eq!((log.end(0), log.wait(0, 0, Duration::from_millis(300))), (Ok(0), Ok(false)), "it is open");
    end(false);
    // Two records and a mark: nothing to show, but the position moves on.
    let moved = eventually("the mark is passed", || {
        log.wait(0, 0, LONG).unwrap();
        Some(log.read(0, 0, 1_000).unwrap()).filter(|read| read.next > 0)
    });
    assert_eq!((moved.records, moved.next, log.end(0)), (vec![], 3, Ok(3)));

    producer.begin_transaction().unwrap();
    send(&["one", "two"]);
    end(true);
    producer.begin_transaction().unwrap();
    send(&["never 3"]);
    end(false);
    log.append(&[record("k", "three")]).unwrap();
    let (records, next) = eventually("all marks are there", || {
        drain(&log, 0, 3).ok().filter(|(records, _)| records.len() == 3)
    });
    assert_eq!(texts(&records), ["one", "two", "three"]);
    // The last mark comes when the broker gets to it: before "three" or behind.
    let offsets: Vec<_> = records.iter().map(|stored| stored.offset).collect();
    assert!(offsets == [3, 4, 8] || offsets == [3, 4, 7], "{offsets:?}");
    assert_eq!(next, 9);
    // From the start, and from the middle of what was aborted.
    for from in [0, 1] {
        let (records, next) = drain(&log, 0, from).unwrap();
        assert_eq!((texts(&records), next), (vec!["one", "two", "three"], 9), "from {from}");
    }
}

#[test]
fn an_added_partition_is_seen() {
    let settings = topic("grows", 1);
    let log = open(&settings);
    assert_eq!(log.partitions(), 1);
    let (admin, options) = admin(&settings);
    let new = NewPartitions::new(&settings.topic, 3);
    pollster::block_on(admin.create_partitions([&new], &options)).unwrap()[0].as_ref().unwrap();
    eventually("three partitions", || (log.partitions() == 3).then_some(()));
    let producer = ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
    let producer: BaseProducer = producer;
    eventually("the broker takes records for it", || {
        let record = rdkafka::producer::BaseRecord::to(&settings.topic).partition(2).key("k").payload("new");
        producer.send(record).ok()?;
        producer.flush(LONG).ok()
    });
    let (records, _) = eventually("the record is there", || {
        drain(&log, 2, 0).ok().filter(|(records, _)| !records.is_empty())
    });
    assert_eq!(texts(&records), ["new"]);
    eventually("the ends of all are known", || (log.recent_ends() == [0, 0, 1]).then_some(()));
}

#[test]
fn committed_offsets_are_there_for_others_to_see() {
    let mut settings = topic("commits", 2);
    settings.properties.insert("group.id".to_owned(), "watched".to_owned());
    let log = open(&settings);
    log.commit(&[7, 9]);
    committed(&settings, &[7, 9]);
}

fn refused(offset: u64, payload: Vec<u8>) -> Refused {
    Refused {
        code: Code::NotUtf8,
        field: Some("track.uri".to_owned()),
        detail: "ü at byte 3".to_owned(),
        origin: Origin::Log(Position { partition: 4, offset }),
        at_ms: 1_700_000_000_000,
        key: Some(Bytes::from_static(b"\xff")),
        payload: Some(payload.into()),
    }
}

#[test]
fn dead_letters_are_the_bytes_with_their_provenance() {
    let settings = topic("events-with-poison", 1);
    let letters = DeadLetterTopic::open(&settings).unwrap();
    letters.create().unwrap();
    letters.create().unwrap();
    assert_eq!(letters.count(), Ok(0));
    let poison = refused(1 << 40, b"\xc3\x28\x00".to_vec());
    letters.push(&mut vec![poison.clone()]).unwrap();
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &shared().address)
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("events-with-poison.dead-letters", 0, Offset::Beginning).unwrap();
    reader.assign(&list).unwrap();
    let message = reader.poll(LONG).unwrap().unwrap();
    assert_eq!((message.key(), message.payload()), (Some(&b"\xff"[..]), Some(&b"\xc3\x28\x00"[..])));
    let headers = message.headers().unwrap();
    let headers: Vec<_> =
        headers.iter().map(|h| (h.key, std::str::from_utf8(h.value.unwrap()).unwrap())).collect();
    let expected = [
        ("topic", "events-with-poison"),
        ("partition", "4"),
        ("offset", "1099511627776"),
        ("code", "not_utf8"),
        ("field", "track.uri"),
        ("reason", "ü at byte 3"),
        ("at_ms", "1700000000000"),
        ("bytes", "3"),
    ];
    assert_eq!(headers, expected);

    // Somebody else's record is counted, and is no letter; one that was sent comes with its source.
    produce(&producer_of(&settings), "events-with-poison.dead-letters", &[(None, Some(b"not ours"))]);
    let sent = Origin::Sent { source: "http".to_owned(), position: "7:1".to_owned() };
    letters.push(&mut vec![Refused { origin: sent, key: None, ..poison.clone() }]).unwrap();
    assert_eq!((letters.count(), DeadLetterTopic::open(&settings).unwrap().count()), (Ok(3), Ok(3)));
    let letters = DeadLetters::Topic(Box::new(letters));
    let listed = letters.list(0, usize::MAX, 2).unwrap();
    let shown = |at: usize| {
        let (number, letter) = &listed[at];
        (*number, &*letter.source, &*letter.position, letter.raw.bytes, letter.raw.to_bytes())
    };
    assert_eq!(listed.len(), 2);
    let raw = Bytes::from_static(b"\xc3\x28");
    assert_eq!(shown(0), (0, "events-with-poison", "4:1099511627776", 3, raw.clone()));
    assert_eq!(shown(1), (2, "http", "7:1", 3, raw));
    assert_eq!(letters.list(1, 1, 2).unwrap()[0].0, 2);
    // The same place with other bytes is another record: the topic was made again.
    let marks = letters.marks().unwrap();
    assert!(marks.len() == 1 && marks.contains(&letters.mark(&poison).unwrap()));
    assert!(!marks.contains(&letters.mark(&refused(1 << 40, b"other".to_vec())).unwrap()));
}

fn producer_of(settings: &Settings) -> BaseProducer {
    ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap()
}

#[test]
fn a_letter_that_is_too_large_for_its_topic_is_cut() {
    use rdkafka::admin::{NewTopic, TopicReplication};
    let settings = topic("large", 1);
    let (admin, options) = admin(&settings);
    let new = NewTopic::new("large.dead-letters", 1, TopicReplication::Fixed(1));
    let new = new.set("max.message.bytes", "100000");
    pollster::block_on(admin.create_topics([&new], &options)).unwrap()[0].as_ref().unwrap();
    let topic = DeadLetterTopic::open(&settings).unwrap();
    eventually("the topic is known", || topic.look().ok());
    // No bytes that compression makes small.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let large: Vec<u8> = (0..200_000).map(|_| rng.random()).collect();
    // Larger than any record of ours: not even the client takes it.
    let huge: Vec<u8> = (0..18 << 20).map(|_| rng.random()).collect();
    let all =
        [refused(0, b"small".to_vec()), refused(1, large), refused(2, huge), refused(3, b"too".to_vec())];
    topic.push(&mut all.to_vec()).unwrap();
    let topic = DeadLetters::Topic(Box::new(topic));
    let listed = topic.list(0, usize::MAX, usize::MAX).unwrap();
    assert_eq!(listed.len(), 4, "each once");
    for refused in &all {
        let Origin::Log(Position { offset, .. }) = refused.origin else { unreachable!() };
        let position = format!("4:{offset}");
        let (_, letter) = listed.iter().find(|(_, letter)| letter.position == position).unwrap();
        let whole = refused.payload.as_ref().unwrap();
        assert_eq!(letter.raw.bytes, whole.len() as u64);
        assert_eq!(letter.raw.to_bytes(), whole[..whole.len().min(RAW_BYTES_MAX)]);
        assert!(topic.marks().unwrap().contains(&topic.mark(refused).unwrap()));
    }
}
