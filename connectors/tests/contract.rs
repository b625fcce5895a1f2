//! What every log must do, asked of each of them; and random histories against a twin made of vectors.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but clippy does not see that all of this file is one"
)]

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_connectors::embedded::{Embedded, Options, SyncMode};
use segue_connectors::faulty::Faulty;
use segue_connectors::log::{Error, Log, PAYLOAD_BYTES_MAX, Position, Record, Stored, partition_of};
use segue_connectors::memory::Memory;

const LONG: Duration = Duration::from_secs(60);

fn partitions(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn embedded(path: &Path, n: u32) -> Arc<dyn Log> {
    let opened = Embedded::open(path, Options { partitions: partitions(n), sync: SyncMode::Fsync }).unwrap();
    assert_eq!(opened.torn_tail, None);
    Arc::new(opened.log)
}

/// Asks this of a fresh log of each kind, with `n` partitions.
fn each(n: u32, ask: impl Fn(Arc<dyn Log>)) {
    ask(Arc::new(Memory::new(partitions(n))));
    ask(Arc::new(Faulty::new(Arc::new(Memory::new(partitions(n))))));
    let folder = tempfile::tempdir().unwrap();
    ask(embedded(folder.path(), n));
}

fn record<'a>(key: &'a str, payload: &str) -> Record<'a> {
    Record { key, payload: Bytes::copy_from_slice(payload.as_bytes()) }
}

fn texts(read: &[Stored]) -> Vec<&str> {
    read.iter().map(|stored| std::str::from_utf8(&stored.payload).unwrap()).collect()
}

#[test]
fn an_empty_log_is_empty() {
    each(3, |log| {
        assert_eq!(log.partitions(), 3);
        for partition in 0..3 {
            assert_eq!(log.end(partition), Ok(0));
            assert_eq!(log.read(partition, 0, 1_000), Ok(vec![]));
        }
        assert_eq!(log.append(&[]), Ok(vec![]));
        let missing = Error::NoPartition { partition: 3, partitions: 3 };
        assert_eq!(log.end(3), Err(missing.clone()));
        assert_eq!(log.read(3, 0, 1), Err(missing.clone()));
        assert_eq!(log.wait(3, 0, LONG), Err(missing));
    });
}

#[test]
fn what_was_appended_is_read_in_order() {
    each(1, |log| {
        let positions = log.append(&[record("a", "one"), record("b", ""), record("a", "three")]).unwrap();
        assert_eq!(positions, [0, 1, 2].map(|offset| Position { partition: 0, offset }));
        assert_eq!(log.append(&[record("c", "four")]).unwrap()[0].to_string(), "0:3");
        assert_eq!(texts(&log.read(0, 0, 1_000).unwrap()), ["one", "", "three", "four"]);
        assert_eq!(log.read(0, 3, 1_000).unwrap()[0].offset, 3);
        assert_eq!(log.read(0, 4, 1_000), Ok(vec![]));
        let past = Error::PastEnd { position: Position { partition: 0, offset: 5 }, end: 4 };
        assert_eq!(log.read(0, 5, 1_000), Err(past));
    });
}

#[test]
fn a_read_stops_at_its_bytes_but_gives_one_record() {
    each(1, |log| {
        log.append(&["aaaa", "bbbb", "cccc"].map(|text| record("k", text))).unwrap();
        for (bytes_max, records) in [(0, 1), (1, 1), (4, 1), (7, 1), (8, 2), (11, 2), (12, 3)] {
            assert_eq!(log.read(0, 0, bytes_max).unwrap().len(), records, "{bytes_max} bytes");
        }
    });
}

#[test]
fn a_key_has_one_partition() {
    each(7, |log| {
        let keys: Vec<String> = (0..100).map(|n| format!("mpd:playlist:{n}")).collect();
        let records: Vec<Record<'_>> = keys.iter().map(|key| record(key, key)).collect();
        let positions = log.append(&records).unwrap();
        for (key, position) in keys.iter().zip(positions) {
            assert_eq!(position.partition, partition_of(key, 7));
            assert_eq!(texts(&log.read(position.partition, position.offset, 1).unwrap()), [key]);
        }
        assert_eq!((0..7).map(|partition| log.end(partition).unwrap()).sum::<u64>(), 100);
    });
}

#[test]
fn the_largest_payload_is_taken_and_a_larger_one_is_not() {
    each(1, |log| {
        let largest = Bytes::from(vec![7; PAYLOAD_BYTES_MAX]);
        let too_large = Record { key: "k", payload: Bytes::from(vec![7; PAYLOAD_BYTES_MAX + 1]) };
        let refused = log.append(&[record("k", "fine"), too_large]);
        assert!(matches!(&refused, Err(Error::NotAppended { reason }) if reason.contains("record 1")));
        assert_eq!(log.end(0), Ok(0));
        log.append(&[Record { key: "k", payload: largest.clone() }]).unwrap();
        assert_eq!(log.read(0, 0, 1).unwrap()[0].payload, largest);
    });
}

#[test]
fn waiting_ends_with_a_record_the_time_or_the_close() {
    each(1, |log| {
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
        assert_eq!(texts(&log.read(0, 0, 1_000).unwrap()), ["x"]);
    });
}

/// Random appends, reads and reopenings of the log on disk, against vectors. They are large
/// enough in all that some go to tables.
#[test]
fn random_histories_equal_the_twin() {
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let n = random.random_range(1..4);
        let folder = tempfile::tempdir().unwrap();
        let mut log = embedded(folder.path(), n);
        let mut twin: Vec<Vec<Bytes>> = vec![Vec::new(); n as usize];
        for step in 0..150 {
            match random.random_range(0..10) {
                0..5 => {
                    let keys: Vec<String> = (0..random.random_range(0..20))
                        .map(|_| random.random_range(0..50).to_string())
                        .collect();
                    let records: Vec<Record<'_>> = keys
                        .iter()
                        .map(|key| {
                            let bytes = random.random_range(0..14_u32);
                            let mut payload = vec![0; random.random_range(0..1 + (1 << bytes) * 32)];
                            random.fill(&mut payload[..]);
                            Record { key, payload: payload.into() }
                        })
                        .collect();
                    let positions = log.append(&records).unwrap();
                    assert_eq!(positions.len(), records.len());
                    for (record, position) in records.into_iter().zip(positions) {
                        assert_eq!(
                            position.partition,
                            partition_of(record.key, n),
                            "seed {seed} step {step}"
                        );
                        let held = &mut twin[position.partition as usize];
                        assert_eq!(position.offset, held.len() as u64, "seed {seed} step {step}");
                        held.push(record.payload);
                    }
                }
                5..9 => {
                    let partition = random.random_range(0..n);
                    let held = &twin[partition as usize];
                    let from = random.random_range(0..=held.len());
                    let bytes_max = random.random_range(0..200_000);
                    let read = log.read(partition, from as u64, bytes_max).unwrap();
                    for (at, stored) in read.iter().enumerate() {
                        assert_eq!(stored.offset, (from + at) as u64, "seed {seed} step {step}");
                        assert_eq!(stored.payload, held[from + at], "seed {seed} step {step}");
                    }
                    let bytes: usize = read.iter().map(|stored| stored.payload.len()).sum();
                    assert!(bytes <= bytes_max || read.len() == 1, "seed {seed} step {step}");
                    let next = held.get(from + read.len());
                    assert!(
                        next.is_none_or(
                            |next| !read.is_empty() && bytes + next.len() > bytes_max || bytes >= bytes_max
                        ),
                        "seed {seed} step {step}"
                    );
                }
                _ => {
                    drop(log);
                    log = embedded(folder.path(), n);
                }
            }
            for (partition, held) in twin.iter().enumerate() {
                assert_eq!(log.end(partition as u32), Ok(held.len() as u64), "seed {seed} step {step}");
            }
        }
    }
}

#[test]
fn eight_threads_keep_the_order_of_each_key() {
    const APPENDS: u64 = 200;
    let folder = tempfile::tempdir().unwrap();
    let log = embedded(folder.path(), 3);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || {
                let key = format!("key {thread}");
                let mut last = None;
                for n in 0..APPENDS {
                    let text = format!("{thread} {n}");
                    let position = log.append(&[record(&key, &text)]).unwrap()[0];
                    assert!(Some(position) > last);
                    last = Some(position);
                    let read = log.read(position.partition, position.offset, 1).unwrap();
                    assert_eq!(texts(&read), [text]);
                }
            });
        }
    });
    drop(log);
    let log = embedded(folder.path(), 3);
    let mut next = [0; 8];
    for partition in 0..3 {
        for stored in log.read(partition, 0, usize::MAX).unwrap() {
            let text = std::str::from_utf8(&stored.payload).unwrap();
            let (thread, n) = text.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(n.parse::<u64>().unwrap(), *next);
            *next += 1;
        }
    }
    assert_eq!(next, [APPENDS; 8]);
}
