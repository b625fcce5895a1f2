//! What every log must do (`suite`), asked of those that need no service; and random histories against a twin made of vectors.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but clippy does not see that all of this file is one"
)]

mod suite;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_connectors::embedded::{Embedded, Options, SyncMode};
use segue_connectors::faulty::Faulty;
use segue_connectors::log::{Log, Record, partition_of};
use segue_connectors::memory::Memory;
use suite::{record, texts};

fn partitions(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn embedded(path: &Path, n: u32) -> Arc<dyn Log> {
    let opened = Embedded::open(path, Options { partitions: partitions(n), sync: SyncMode::Fsync }).unwrap();
    assert_eq!(opened.torn_tail, None);
    Arc::new(opened.log)
}

/// Asks this of a fresh log of each kind, with `n` partitions.
fn each(n: u32, ask: impl Fn(&dyn Log)) {
    ask(&Memory::new(partitions(n)));
    ask(&Faulty::new(Arc::new(Memory::new(partitions(n)))));
    let folder = tempfile::tempdir().unwrap();
    ask(&*embedded(folder.path(), n));
}

#[test]
fn an_empty_log_is_empty() {
    each(3, suite::an_empty_log_is_empty);
}

#[test]
fn what_was_appended_is_read_in_order() {
    each(1, suite::what_was_appended_is_read_in_order);
}

#[test]
fn a_read_stops_at_its_bytes_but_gives_one_record() {
    each(1, suite::a_read_stops_at_its_bytes_but_gives_one_record);
}

#[test]
fn a_key_has_one_partition() {
    each(7, |log| suite::a_key_has_one_partition(log, partition_of));
}

#[test]
fn the_largest_payload_is_taken_and_a_larger_one_is_not() {
    each(1, suite::the_largest_payload_is_taken_and_a_larger_one_is_not);
}

#[test]
fn waiting_ends_with_a_record_the_time_or_the_close() {
    each(1, suite::waiting_ends_with_a_record_the_time_or_the_close);
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
                    let read = log.read(partition, from as u64, bytes_max).unwrap().records;
                    for (at, stored) in read.iter().enumerate() {
                        assert_eq!(stored.offset, (from + at) as u64, "seed {seed} step {step}");
                        assert_eq!(
                            stored.payload.as_ref(),
                            Some(&held[from + at]),
                            "seed {seed} step {step}"
                        );
                    }
                    let bytes: usize = read.iter().map(|stored| stored.payload.as_ref().unwrap().len()).sum();
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
                    let read = log.read(position.partition, position.offset, 1).unwrap().records;
                    assert_eq!(texts(&read), [text]);
                }
            });
        }
    });
    drop(log);
    let log = embedded(folder.path(), 3);
    let mut next = [0; 8];
    for partition in 0..3 {
        for stored in log.read(partition, 0, usize::MAX).unwrap().records {
            let text = std::str::from_utf8(stored.payload.as_deref().unwrap()).unwrap();
            let (thread, n) = text.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(n.parse::<u64>().unwrap(), *next);
            *next += 1;
        }
    }
    assert_eq!(next, [APPENDS; 8]);
}
