//! How to reach Kafka, and which of librdkafka's properties are ours, the user's, or nobody's to change.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OpenError;
use crate::log::PAYLOAD_BYTES_MAX;

/// The section `kafka` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Brokers to ask first, `host:port` with commas between. If there are any, Kafka is the log, and the
    /// embedded one is not used.
    pub brokers: String,
    /// The topic of the events. It must exist: `segue replay --create-topic` makes one.
    pub topic: String,
    /// The topic for records that are no events; made at the start if it is not there. Empty: the topic of the
    /// events and `.dead-letters`.
    pub dead_letter_topic: String,
    /// Any of librdkafka's properties by its own name, such as `security.protocol` or `sasl.username`, for
    /// producer and consumer alike. Those that exactness rests on cannot be changed.
    pub properties: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            brokers: String::new(),
            topic: "segue.events".to_owned(),
            dead_letter_topic: String::new(),
            properties: BTreeMap::new(),
        }
    }
}

/// Bytes of a record that are not payload, at most: its key, headers, and Kafka's own.
const OVERHEAD_BYTES_MAX: usize = 1 << 20;
/// Bytes that one record may have on its way.
pub(super) const RECORD_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + OVERHEAD_BYTES_MAX;

/// Properties that nobody changes, and why: of a consumer, and of a producer.
const FIXED_CONSUMER: [(&str, &str, &str); 6] = [
    ("auto.offset.reset", "error", "events that are gone must not be passed over"),
    ("isolation.level", "read_committed", "what a transaction takes back was never said"),
    ("enable.auto.commit", "false", "a snapshot says where to go on"),
    ("enable.auto.offset.store", "false", "a snapshot says where to go on"),
    ("enable.partition.eof", "false", "positions say it"),
    ("check.crcs", "true", "a damaged record must not be read"),
];
const FIXED_PRODUCER: [(&str, &str, &str); 3] = [
    ("enable.idempotence", "true", "a retry must not change the order"),
    ("acks", "all", "an acknowledged event must survive the broker"),
    ("partitioner", "murmur2_random", "all producers must agree on the partition of a key"),
];

/// What each client starts from; properties of the user's win.
const CONSUMER: [(&str, &str); 9] = [
    ("group.id", "segue"),
    // Memory: per partition, what is queued plus one fetch.
    ("queued.max.messages.kbytes", "8192"),
    ("queued.min.messages", "20000"),
    // So often it tells how much that is.
    ("statistics.interval.ms", "1000"),
    ("fetch.message.max.bytes", "1048576"),
    ("fetch.max.bytes", "20971520"),
    // A partition whose queue was full is fetched again so many ms later, and not a second.
    ("fetch.queue.backoff.ms", "5"),
    // A partition that joins waits for the fetch of the others.
    ("fetch.wait.max.ms", "100"),
    ("reconnect.backoff.max.ms", "1000"),
];
const PRODUCER: [(&str, &str); 5] = [
    ("compression.type", "lz4"),
    ("linger.ms", "1"),
    ("queue.buffering.max.kbytes", "65536"),
    // How long an append waits for a broker that is away.
    ("message.timeout.ms", "20000"),
    ("reconnect.backoff.max.ms", "1000"),
];

/// Parts of the names of properties that nobody should read in passing.
const SECRET: [&str; 5] = ["password", "passphrase", "secret", "key.pem", "sasl.oauthbearer.config"];

/// Whether the value of this property is a secret, as far as its name tells.
pub fn is_secret(property: &str) -> bool {
    let property = property.to_lowercase();
    SECRET.iter().any(|part| property.contains(part))
}

/// What a client is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Consumer,
    Producer,
    Admin,
}

impl Settings {
    /// The dead-letter topic.
    pub fn dead_letters(&self) -> String {
        match &*self.dead_letter_topic {
            "" => format!("{}.dead-letters", self.topic),
            name => name.to_owned(),
        }
    }

    /// The address of a topic, for messages.
    pub(super) fn address(&self, topic: &str) -> PathBuf {
        PathBuf::from(format!("kafka://{}/{topic}", self.brokers))
    }

    /// A client.
    pub(super) fn create<T, C>(&self, role: Role, context: C) -> Result<T, OpenError>
    where
        T: FromClientConfigAndContext<C>,
        C: rdkafka::ClientContext,
    {
        let wrong = |detail: String| OpenError::Settings { detail };
        if self.brokers.trim().is_empty() {
            return Err(wrong("`kafka.brokers` is empty".to_owned()));
        }
        if let Some((name, value, why)) = FIXED_CONSUMER
            .iter()
            .chain(&FIXED_PRODUCER)
            .find(|(name, value, _)| self.properties.get(*name).is_some_and(|given| given != value))
        {
            return Err(wrong(format!("`kafka.properties.{name}` is always {value}: {why}")));
        }
        let mut config = ClientConfig::new();
        let bytes = RECORD_BYTES_MAX.to_string();
        config.set("client.id", "segue").set("message.max.bytes", bytes);
        let (defaults, fixed): (&[_], &[_]) = match role {
            Role::Consumer => (&CONSUMER, &FIXED_CONSUMER),
            Role::Producer => (&PRODUCER, &FIXED_PRODUCER),
            Role::Admin => (&[], &[]),
        };
        let own = defaults.iter().copied();
        let given = self.properties.iter().map(|(name, value)| (&**name, &**value));
        let fixed = fixed.iter().map(|(name, value, _)| (*name, *value));
        for (name, value) in own.chain(given).chain(fixed) {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.create_with_context(context).map_err(|error| wrong(error.to_string()))
    }
}
