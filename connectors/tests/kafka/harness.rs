//! The broker that all tests share, topics on it, and a client that is not the log.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use segue_connectors::kafka::{Kafka, Settings};
use segue_connectors::log::{Error, Log, Stored};

use crate::broker::Broker;
use crate::suite::LONG;

static SHARED: LazyLock<Broker> = LazyLock::new(Broker::start);

/// A new topic on the broker that all tests share.
pub fn topic(name: &str, partitions: u32) -> Settings {
    SHARED.topic(name, partitions)
}

pub fn shared() -> &'static Broker {
    &SHARED
}

pub fn open(settings: &Settings) -> Kafka {
    eventually("the topic is known", || Kafka::open(settings).ok())
}

pub fn admin(settings: &Settings) -> (AdminClient<DefaultClientContext>, AdminOptions) {
    let admin = ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
    (admin, AdminOptions::new().operation_timeout(Some(LONG)).request_timeout(Some(LONG)))
}

/// A producer with a transactional id of its own.
pub fn transactional(settings: &Settings) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("transactional.id", &settings.topic)
        .create()
        .unwrap();
    producer.init_transactions(LONG).unwrap();
    producer
}

/// Waits until the group of these settings has committed these offsets, by partition.
pub fn committed(settings: &Settings, offsets: &[i64]) {
    let observer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", &settings.properties["group.id"])
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range(&settings.topic, 0, offsets.len() as i32 - 1);
    eventually("the group's offsets", || {
        let found = observer.committed_offsets(list.clone(), LONG).ok()?;
        let found = found.elements().iter().map(|element| element.offset()).collect::<Vec<_>>();
        (found == offsets.iter().copied().map(Offset::Offset).collect::<Vec<_>>()).then_some(())
    });
}

/// Key and payload.
pub type Written<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// Puts records on partition 0, as they are.
pub fn produce(producer: &BaseProducer, topic: &str, records: &[Written<'_>]) {
    for (key, payload) in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(0);
        (record.key, record.payload) = (*key, *payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LONG).unwrap();
}

/// All that is there from this offset on, and where to go on.
pub fn drain(log: &dyn Log, partition: u32, from: u64) -> Result<(Vec<Stored>, u64), Error> {
    let (mut records, mut next) = (Vec::new(), from);
    let end = log.end(partition)?;
    while next < end {
        let read = log.read(partition, next, 1 << 20)?;
        if read.next == next {
            log.wait(partition, next, LONG)?;
        }
        records.extend(read.records);
        next = read.next;
    }
    Ok((records, next))
}

/// Asks until there is an answer.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < LONG, "not within {LONG:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Kafka's hash of keys, written from its definition.
pub fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut word = u32::from_le_bytes(word.try_into().unwrap()).wrapping_mul(M);
        word = (word ^ (word >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ word;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

pub fn partition_of(key: &str, partitions: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % partitions
}
