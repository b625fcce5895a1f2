//! The contract of a log, to be held by a fresh one: each function is a test of one clause.

use std::time::Duration;

use bytes::Bytes;
use segue_connectors::log::{Error, Log, PAYLOAD_BYTES_MAX, Position, Record, Stored};

/// A wait that only ends by itself if the log is wrong.
pub const LONG: Duration = Duration::from_secs(60);

pub fn record<'a>(key: &'a str, payload: &str) -> Record<'a> {
    Record { key, payload: Bytes::copy_from_slice(payload.as_bytes()) }
}

pub fn texts(read: &[Stored]) -> Vec<&str> {
    read.iter().map(|stored| std::str::from_utf8(stored.payload.as_deref().unwrap()).unwrap()).collect()
}

/// Reads what is there, waiting while it is on its way.
pub fn read(log: &dyn Log, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Stored>, Error> {
    loop {
        let read = log.read(partition, from, bytes_max)?;
        if !read.records.is_empty() || from >= log.end(partition)? {
            return Ok(read.records);
        }
        log.wait(partition, from, LONG)?;
    }
}

/// Wants three partitions.
pub fn an_empty_log_is_empty(log: &dyn Log) {
    assert_eq!(log.partitions(), 3);
    for partition in 0..3 {
        assert_eq!(log.end(partition), Ok(0));
        assert_eq!(read(log, partition, 0, 1_000), Ok(vec![]));
    }
    assert_eq!(log.append(&[]), Ok(vec![]));
    let missing = Error::NoPartition { partition: 3, partitions: 3 };
    assert_eq!(log.end(3), Err(missing.clone()));
    assert_eq!(read(log, 3, 0, 1), Err(missing.clone()));
    assert_eq!(log.wait(3, 0, LONG), Err(missing));
}

/// Wants one partition.
pub fn what_was_appended_is_read_in_order(log: &dyn Log) {
    let positions = log.append(&[record("a", "one"), record("b", ""), record("a", "three")]).unwrap();
    assert_eq!(positions, [0, 1, 2].map(|offset| Position { partition: 0, offset }));
    assert_eq!(log.append(&[record("c", "four")]).unwrap()[0].to_string(), "0:3");
    assert_eq!(texts(&read(log, 0, 0, 1_000).unwrap()), ["one", "", "three", "four"]);
    assert_eq!(read(log, 0, 3, 1_000).unwrap()[0].offset, 3);
    assert_eq!(read(log, 0, 4, 1_000), Ok(vec![]));
    let past = Error::PastEnd { position: Position { partition: 0, offset: 5 }, end: 4 };
    assert_eq!(read(log, 0, 5, 1_000), Err(past));
}

/// Wants one partition.
pub fn a_read_stops_at_its_bytes_but_gives_one_record(log: &dyn Log) {
    log.append(&["aaaa", "bbbb", "cccc"].map(|text| record("", text))).unwrap();
    for (bytes_max, records) in [(0, 1), (1, 1), (4, 1), (7, 1), (8, 2), (11, 2), (12, 3)] {
        assert_eq!(read(log, 0, 0, bytes_max).unwrap().len(), records, "{bytes_max} bytes");
    }
}

/// Wants seven partitions.
pub fn a_key_has_one_partition(log: &dyn Log, partition_of: impl Fn(&str, u32) -> u32) {
    let keys: Vec<String> = (0..100).map(|n| format!("mpd:playlist:{n}")).collect();
    let records: Vec<Record<'_>> = keys.iter().map(|key| record(key, key)).collect();
    let positions = log.append(&records).unwrap();
    for (key, position) in keys.iter().zip(positions) {
        assert_eq!(position.partition, partition_of(key, 7));
        assert_eq!(texts(&read(log, position.partition, position.offset, 1).unwrap()), [key]);
    }
    assert_eq!((0..7).map(|partition| log.end(partition).unwrap()).sum::<u64>(), 100);
}

/// Wants one partition.
pub fn the_largest_payload_is_taken_and_a_larger_one_is_not(log: &dyn Log) {
    let largest = Bytes::from(vec![7; PAYLOAD_BYTES_MAX]);
    let too_large = Record { key: "k", payload: Bytes::from(vec![7; PAYLOAD_BYTES_MAX + 1]) };
    let refused = log.append(&[record("k", "fine"), too_large]);
    assert!(matches!(&refused, Err(Error::NotAppended { reason }) if reason.contains("record 1")));
    assert_eq!(log.end(0), Ok(0));
    log.append(&[Record { key: "k", payload: largest.clone() }]).unwrap();
    assert_eq!(read(log, 0, 0, 1).unwrap()[0].payload, Some(largest));
}

/// Wants one partition.
pub fn waiting_ends_with_a_record_the_time_or_the_close(log: &dyn Log) {
    assert_eq!(log.wait(0, 0, Duration::ZERO), Ok(false));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait(0, 0, LONG));
        log.append(&[record("k", "x")]).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(true));
        let waiting = scope.spawn(|| log.wait(0, 1, LONG));
        log.close();
        assert_eq!(waiting.join().unwrap(), Err(Error::Closed));
    });
    log.close();
    assert_eq!(log.append(&[record("k", "y")]), Err(Error::Closed));
    assert_eq!(log.wait(0, 0, LONG), Ok(true));
    assert_eq!(texts(&read(log, 0, 0, 1_000).unwrap()), ["x"]);
}
