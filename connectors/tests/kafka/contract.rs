//! The contract of a log, held by Kafka, and the rule for partitions.

use segue_connectors::log::{Log, Record};

use crate::harness::{murmur2, open, partition_of, topic};
use crate::suite;

#[test]
fn an_empty_log_is_empty() {
    suite::an_empty_log_is_empty(&open(&topic("empty", 3)));
}

#[test]
fn what_was_appended_is_read_in_order() {
    suite::what_was_appended_is_read_in_order(&open(&topic("in-order", 1)));
}

#[test]
fn a_read_stops_at_its_bytes_but_gives_one_record() {
    suite::a_read_stops_at_its_bytes_but_gives_one_record(&open(&topic("bytes", 1)));
}

#[test]
fn a_key_has_one_partition() {
    suite::a_key_has_one_partition(&open(&topic("keys", 7)), partition_of);
}

#[test]
fn the_largest_payload_is_taken_and_a_larger_one_is_not() {
    suite::the_largest_payload_is_taken_and_a_larger_one_is_not(&open(&topic("largest", 1)));
}

#[test]
fn waiting_ends_with_a_record_the_time_or_the_close() {
    suite::waiting_ends_with_a_record_the_time_or_the_close(&open(&topic("waiting", 1)));
}

/// Hashes that Kafka's own clients give these keys.
#[test]
fn partitions_are_those_of_other_clients() {
    let log = open(&topic("golden", 1_000));
    for (key, hash) in [("21", -973_932_308_i32), ("foobar", -790_332_482), ("abc", 479_470_107)] {
        assert_eq!(murmur2(key.as_bytes()), hash as u32, "{key}");
        let position = log.append(&[Record { key, payload: "x".into() }]).unwrap()[0];
        assert_eq!(position.partition, (hash as u32 & 0x7fff_ffff) % 1_000, "{key}");
    }
}
