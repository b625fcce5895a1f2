//! Memory while nobody reads: what is fetched is bounded in bytes, all else stays with the broker.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use segue_connectors::kafka::Kafka;
use segue_connectors::log::Log;

use crate::harness::{drain, eventually, topic};
use crate::suite::LONG;

const PARTITIONS: u32 = 3;
/// Of each partition, in records of one KiB.
const RECORDS: u64 = 16 << 10;
/// Of each partition: what may be queued, and one fetch that comes when there is still room.
const BOUND: u64 = (1 << 20) + (1 << 20);

#[test]
fn what_nobody_reads_stays_with_the_broker() {
    let mut settings = topic("unread", PARTITIONS);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("queue.buffering.max.kbytes", "131072")
        .create()
        .unwrap();
    for partition in 0..PARTITIONS as i32 {
        for n in 0..RECORDS {
            let payload = format!("{n:<1024}");
            let record = BaseRecord::<str, str>::to("unread").partition(partition).payload(&payload);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LONG).unwrap();
    }
    let tight = [
        ("queued.max.messages.kbytes", "1024"),
        ("fetch.message.max.bytes", "1048576"),
        ("statistics.interval.ms", "50"),
    ];
    settings.properties.extend(tight.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let log = Kafka::open(&settings).unwrap();
    // Each partition is read once, as by a reader that is then held up.
    for partition in 0..PARTITIONS {
        eventually("its first record", || {
            log.wait(partition, 0, Duration::from_secs(1)).unwrap().then_some(())
        });
    }
    let (mut seen, mut most) = (BTreeSet::new(), 0);
    eventually("statistics, often", || {
        let held = log.held();
        seen.insert(held);
        most = most.max(held);
        // It fills up, and then stays where it is, look after look.
        (most > BOUND && seen.len() > 1).then_some(())
    });
    for _ in 0..40 {
        most = most.max(log.held());
        std::thread::park_timeout(Duration::from_millis(25));
    }
    let all = u64::from(PARTITIONS) * RECORDS * 1024;
    let bound = u64::from(PARTITIONS) * BOUND;
    assert!(most <= bound && bound * 4 < all, "{most} bytes held, at most {bound} of {all} should be");
    for partition in 0..PARTITIONS {
        let (records, next) = drain(&log, partition, 0).unwrap();
        assert_eq!((records.len() as u64, next), (RECORDS, RECORDS));
        let in_order = records.iter().zip(0..).all(|(stored, n)| {
            stored.payload.as_deref().is_some_and(|payload| payload.starts_with(format!("{n} ").as_bytes()))
        });
        assert!(in_order, "partition {partition}");
    }
    eventually("nothing is held", || (log.held() == 0).then_some(()));
}
