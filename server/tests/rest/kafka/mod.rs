//! The server with Kafka as its log. Its other client is kcat, which is not ours.

mod broker;
mod dead_letters;
mod events;
mod secured;
mod topic;
mod unseen;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::harness::{Server, until};

static SHARED: LazyLock<Broker> = LazyLock::new(Broker::start);

/// A topic of its own for each test, and its dead letters.
pub struct Topic {
    name: &'static str,
    address: String,
}

impl Topic {
    /// On the broker that these tests share.
    pub fn new(name: &'static str, partitions: u32) -> Self {
        Self::on(&SHARED, name, partitions)
    }

    pub fn on(broker: &Broker, name: &'static str, partitions: u32) -> Self {
        broker.topic(name, partitions);
        Topic { name, address: broker.address.clone() }
    }

    /// Made with these configurations.
    pub fn with(name: &'static str, configurations: &[(&str, &str)]) -> Self {
        let topic = Topic { name, address: SHARED.address.clone() };
        let new = NewTopic::new(name, 1, TopicReplication::Fixed(1));
        topic.make(&configurations.iter().fold(new, |new, (key, value)| new.set(key, value)));
        topic
    }

    /// As soon as its name is free.
    pub fn make(&self, new: &NewTopic<'_>) {
        let (admin, options) = self.admin();
        until("the name is free", || {
            pollster::block_on(admin.create_topics([new], &options)).unwrap()[0].as_ref().ok().map(drop)
        });
    }

    pub fn delete(&self, topic: &str) {
        let (admin, options) = self.admin();
        pollster::block_on(admin.delete_topics(&[topic], &options)).unwrap()[0].as_ref().unwrap();
    }

    /// A client of Kafka's that is not segue.
    pub fn client(&self, properties: &[(&str, &str)]) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.address);
        client.extend(properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        client
    }

    /// What the server is told.
    pub fn variables(&self) -> [(&str, &str); 2] {
        [("SEGUE__KAFKA__BROKERS", &*self.address), ("SEGUE__KAFKA__TOPIC", self.name)]
    }

    /// Where a replay sends to.
    pub fn url(&self) -> String {
        format!("kafka://{}/{}", self.address, self.name)
    }

    fn kcat(&self, topic: &str, arguments: &[&str]) -> Command {
        let mut kcat = Command::new("kcat");
        kcat.args(["-b", &self.address, "-t", topic]).args(arguments);
        kcat.stdin(Stdio::piped()).stdout(Stdio::piped());
        kcat
    }

    /// Lines of key, tab, payload; none where the payload is empty.
    pub fn produce(&self, lines: &[u8], arguments: &[&str]) {
        self.produce_to(self.name, lines, arguments);
    }

    pub fn produce_to(&self, topic: &str, lines: &[u8], arguments: &[&str]) {
        let mut kcat = self.kcat(topic, &["-P", "-K", "\t", "-Z", "-X", "partitioner=murmur2_random"]);
        let mut kcat = kcat.args(arguments).spawn().expect("kcat");
        kcat.stdin.take().expect("a pipe").write_all(lines).expect("kcat reads");
        assert!(kcat.wait().expect("kcat ends").success());
    }

    /// All records of a topic in this format, by partition in order.
    pub fn consume(&self, topic: &str, format: &str) -> Vec<u8> {
        let read = self.kcat(topic, &["-C", "-e", "-q", "-o", "beginning", "-f", format]).output();
        let read = read.expect("kcat");
        assert!(read.status.success());
        read.stdout
    }

    /// All records of partition 0; each is one line.
    pub fn events(&self) -> Vec<Vec<u8>> {
        let read = self.consume(self.name, "%s\n");
        read.split(|byte| *byte == b'\n').filter(|event| !event.is_empty()).map(<[u8]>::to_vec).collect()
    }

    pub fn dead_letters(&self) -> String {
        format!("{}.dead-letters", self.name)
    }

    /// Deletes the records of partition 0 before this offset, as retention does.
    pub fn forget(&self, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.name, 0, Offset::Offset(before)).unwrap();
        let (admin, options) = self.admin();
        pollster::block_on(admin.delete_records(&list, &options)).unwrap();
    }

    pub fn admin(&self) -> (AdminClient<DefaultClientContext>, AdminOptions) {
        let admin = self.client(&[]).create().unwrap();
        let patience = Some(std::time::Duration::from_secs(30));
        (admin, AdminOptions::new().operation_timeout(patience).request_timeout(patience))
    }
}

pub fn added(playlist: &str, track: &str) -> Value {
    json!({"v": 1, "type": "track_added", "playlist": playlist, "track": {"uri": track}, "at": "2026-01-01T00:00:00Z"})
}

/// A line of [`Topic::produce`].
pub fn line(event: &Value) -> Vec<u8> {
    format!("{}\t{event}\n", event["playlist"].as_str().unwrap()).into_bytes()
}

/// Waits until answers include so many records.
pub fn reached(server: &Server, records: u64) -> Value {
    until("all records", || {
        let state = server.get("/v1/state").body;
        let next = state["offsets"].as_object()?.values().filter_map(Value::as_u64).sum::<u64>();
        (next == records).then_some(state)
    })
}
