//! Settings, and what is wrong with them.

use segue_connectors::kafka::dead_letters::DeadLetterTopic;
use segue_connectors::kafka::{Kafka, OpenError, Settings, topics};
use segue_connectors::log::{Error, Log};

use crate::harness::{admin, eventually, open, shared, topic};
use crate::suite::record;

/// A writer only asks for a client, not for a broker.
fn opened(properties: &[(&str, &str)]) -> Result<(), String> {
    let properties =
        properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings = Settings { brokers: "127.0.0.1:1".to_owned(), properties, ..Settings::default() };
    DeadLetterTopic::open(&settings).map(drop).map_err(|error| error.to_string())
}

#[test]
fn any_property_goes_through_but_those_that_exactness_rests_on() {
    assert_eq!(
        opened(&[("linger.ms", "20"), ("compression.type", "zstd"), ("isolation.level", "read_committed")]),
        Ok(())
    );
    assert_eq!(
        opened(&[("isolation.level", "read_uncommitted")]),
        Err("configuration of Kafka: `kafka.properties.isolation.level` is always read_committed: what a \
             transaction takes back was never said"
            .to_owned())
    );
    for (name, value) in [("linger.mss", "20"), ("linger.ms", "soon")] {
        let error = opened(&[(name, value)]).unwrap_err();
        assert!(error.starts_with("configuration of Kafka: ") && error.contains(name), "{error}");
    }
}

#[test]
fn tls_and_sasl_are_built_in() {
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let properties = [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", "segue"),
            ("sasl.password", "secret"),
        ];
        assert_eq!(opened(&properties), Ok(()), "{mechanism}");
    }
    assert_eq!(opened(&[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "OAUTHBEARER")]), Ok(()));
}

#[test]
fn what_is_not_there_is_named() {
    let nowhere = Settings { brokers: "127.0.0.1:1".to_owned(), ..Settings::default() };
    let error = Kafka::open(&nowhere).err().unwrap();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    let error = Kafka::open(&Settings::default()).err().unwrap();
    assert_eq!(error.to_string(), "configuration of Kafka: `kafka.brokers` is empty");
    let error = Kafka::open(&shared().settings("nobody-made-it")).err().unwrap();
    assert!(error.to_string().ends_with("--create-topic --partitions N`"), "{error}");
    let error = topics::create(&shared().settings("x"), "x", 0).unwrap_err();
    assert!(error.to_string().ends_with("0 partitions are not in 1 to 4096"), "{error}");
}

#[test]
fn dead_letters_do_not_go_among_the_events() {
    let settings = shared().settings("both");
    assert_eq!(settings.dead_letters(), "both.dead-letters");
    let settings = Settings { dead_letter_topic: "both".to_owned(), ..settings };
    let error = DeadLetterTopic::open(&settings).err().unwrap();
    assert!(
        error.to_string().ends_with("`kafka.dead_letter_topic` is both, the topic of the events"),
        "{error}"
    );
}

#[test]
fn a_topic_is_made_once() {
    let settings = topic("once", 2);
    let again = || topics::create(&settings, "once", 5);
    assert_eq!(again(), Ok(false));
    assert_eq!(open(&settings).partitions(), 2);
}

#[test]
fn a_topic_that_takes_only_small_records_refuses_the_others_by_name() {
    use rdkafka::admin::{NewTopic, TopicReplication};
    let settings = shared().settings("small");
    let (admin, options) = admin(&settings);
    let new = NewTopic::new("small", 1, TopicReplication::Fixed(1)).set("max.message.bytes", "1000");
    pollster::block_on(admin.create_topics([&new], &options)).unwrap()[0].as_ref().unwrap();
    let log = open(&settings);
    // The broker sees records after compression, so this one must not compress.
    let text: String =
        (0..4_000_u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let error = eventually("the topic is known", || log.append(&[record("k", &text)]).err());
    assert!(matches!(&error, Error::NotAppended { reason } if reason.contains("small")), "{error}");
    log.append(&[record("k", "small enough")]).unwrap();
    assert_eq!(log.end(0), Ok(1));
}
