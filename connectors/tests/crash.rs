//! What was acknowledged is there afterwards: after kill -9 at random moments, and after a full disk.
//!
//! Each test starts this test binary again, with itself as the only test and a folder in the environment:
//! that is the child, which appends and prints each acknowledgement.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but clippy does not see that all of this file is one"
)]
#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_connectors::embedded::{Embedded, Opened, Options, SyncMode};
use segue_connectors::log::{Error, Log, Position, Record};

const FOLDER: &str = "SEGUE_TEST_FOLDER";
const OPTIONS: Options = Options { partitions: NonZeroU32::new(2).unwrap(), sync: SyncMode::Fsync };

fn open(path: &Path) -> Opened {
    Embedded::open(path, OPTIONS).unwrap()
}

/// This payload begins with its key and number, and has a length that depends on both.
fn payload(thread: u64, n: u64) -> Bytes {
    let filler = (thread * 7 + n * 37 % 3_000) as usize;
    format!("{thread} {n} {}", "x".repeat(filler)).into()
}

/// What the child prints for an acknowledged record.
fn acknowledge(position: Position, thread: u64, n: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {} {} {thread} {n}", position.partition, position.offset).unwrap();
    out.flush().unwrap();
}

type Acknowledged = BTreeMap<Position, Bytes>;

/// Takes down an acknowledgement; false if the line is none (or was cut by the kill).
fn note(line: &str, acknowledged: &mut Acknowledged) -> bool {
    let Some(numbers) = line.strip_prefix("ack ") else { return false };
    let numbers: Vec<u64> = numbers.split(' ').map_while(|number| number.parse().ok()).collect();
    let [partition, offset, thread, n] = numbers[..] else { return false };
    let position = Position { partition: partition as u32, offset };
    let twice = acknowledged.insert(position, payload(thread, n));
    assert_eq!(twice, None, "{position} was acknowledged twice");
    true
}

fn assert_all_there(log: &Embedded, acknowledged: &Acknowledged) {
    for (position, payload) in acknowledged {
        let read = log.read(position.partition, position.offset, 1).unwrap().records;
        assert_eq!(read[0].payload.as_ref(), Some(payload), "{position} is another record");
    }
    for partition in 0..log.partitions() {
        let end = log.end(partition).unwrap();
        assert_eq!(log.read(partition, 0, usize::MAX).unwrap().records.len() as u64, end, "no gaps");
    }
}

fn child(mut command: Command, test: &str, folder: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = command
        .args([test, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines)
}

#[test]
fn acknowledged_records_survive_kill_9() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return append_for_ever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let mut acknowledged = Acknowledged::new();
    for round in 0..20 {
        let program = Command::new(std::env::current_exe().unwrap());
        let (mut child, lines) = child(program, "acknowledged_records_survive_kill_9", folder.path());
        let until = acknowledged.len() + random.random_range(1..400);
        for line in lines {
            note(&line, &mut acknowledged);
            if acknowledged.len() == until {
                // SIGKILL. What the child had printed by then is still read.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(acknowledged.len() >= until, "round {round}: the child ended by itself");
        let opened = open(folder.path());
        if let Some(tail) = &opened.torn_tail {
            println!("round {round}: {tail}");
        }
        assert_all_there(&opened.log, &acknowledged);
    }
    println!("{} acknowledged records, all there", acknowledged.len());
}

fn append_for_ever(folder: &Path) {
    let log = open(folder).log;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                let key = format!("key {thread}");
                for n in 0.. {
                    let position =
                        log.append(&[Record { key: &key, payload: payload(thread, n) }]).unwrap()[0];
                    acknowledge(position, thread, n);
                }
            });
        }
    });
}

/// The disk is full at a file of 300 KiB: a limit that the shell sets, as a full disk for everybody else
/// cannot be had in a test.
#[test]
fn a_full_disk_is_an_error_at_once_and_loses_nothing() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return append_until_full(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let mut shell = Command::new("bash");
    shell
        .args(["-c", r#"trap "" XFSZ; ulimit -f 300; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap());
    let (mut child, lines) = child(shell, "a_full_disk_is_an_error_at_once_and_loses_nothing", folder.path());
    let mut acknowledged = Acknowledged::new();
    let rest: Vec<String> = lines.filter(|line| !note(line, &mut acknowledged)).collect();
    assert!(child.wait().unwrap().success(), "{rest:#?}");
    assert!(acknowledged.len() > 50, "{rest:#?}");
    let opened = open(folder.path());
    println!("{} acknowledged, then: {:?}", acknowledged.len(), opened.torn_tail);
    assert_all_there(&opened.log, &acknowledged);
    opened.log.append(&[Record { key: "k", payload: Bytes::new() }]).unwrap();
}

fn append_until_full(folder: &Path) {
    let log = open(folder).log;
    let mut n = 0;
    let failed = loop {
        match log.append(&[Record { key: "k", payload: payload(0, n) }]) {
            Ok(positions) => acknowledge(positions[0], 0, n),
            Err(error) => break error,
        }
        n += 1;
    };
    assert!(matches!(&failed, Error::MaybeAppended { reason } if reason.contains("too large")), "{failed}");
    for _ in 0..2 {
        let refused = log.append(&[Record { key: "k", payload: Bytes::new() }]).unwrap_err();
        assert!(matches!(&refused, Error::Unwritable { path, .. } if path == folder), "{refused}");
    }
    assert_eq!(log.read(0, 0, usize::MAX).unwrap().records.len() as u64, log.end(0).unwrap());
}
