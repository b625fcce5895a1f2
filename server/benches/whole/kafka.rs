//! The real server behind a real broker, beside a bare consumer of the same topic.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use segue_dataflow::event::decode;

use crate::corpus::Corpus;
use crate::server::{Server, replay, settled, visible};
use crate::services::Service;
use crate::table::Table;

const TOPIC: &str = "bench";
const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads and decodes all records of the topic, once; how long that takes.
fn consume(brokers: &str) -> anyhow::Result<f64> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers).set("group.id", "bare").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = client.create()?;
    let (mut all, mut left) = (TopicPartitionList::new(), 0);
    for partition in 0..PARTITIONS {
        let (low, high) = consumer.fetch_watermarks(TOPIC, partition, PATIENCE)?;
        left += high - low;
        all.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
    }
    let began = Instant::now();
    consumer.assign(&all)?;
    while left > 0 {
        let record = consumer.poll(PATIENCE).context("a record")??;
        decode(record.payload().context("a payload")?)?;
        left -= 1;
    }
    Ok(began.elapsed().as_secs_f64())
}

pub fn measure(corpus: &Corpus, scratch: &Path, table: &mut Table) -> anyhow::Result<()> {
    let kafka = Service::start("kafka");
    let brokers = kafka.var("KAFKA_BROKERS");
    let partitions = PARTITIONS.to_string();
    let began = Instant::now();
    replay(corpus, &format!("kafka://{brokers}/{TOPIC}"), &["--create-topic", "--partitions", &partitions])?;
    table.seconds("replay to Kafka", began.elapsed().as_secs_f64());
    consume(&brokers)?; // from here on the topic is as far in memory as it fits
    let alone = consume(&brokers)?;
    let folder = tempfile::tempdir_in(scratch)?;
    let variables = [
        ("SEGUE__KAFKA__BROKERS", &*brokers),
        ("SEGUE__KAFKA__TOPIC", TOPIC),
        ("SEGUE__SNAPSHOTS__URL", "off"),
    ];
    let began = Instant::now();
    let server = Server::start(folder.path(), &variables)?;
    let ours = began.elapsed().as_secs_f64();
    let what = "start of a server until it has all of a topic, beside reading and decoding it alone";
    table.ratio(what, ours, alone, 2.0, |s| format!("{s:.1} s"));
    server.graph()?;
    settled();
    visible((corpus, 0), &server, "event sent → visible, through Kafka", 0.1, table)
}
