//! The folder of the log on disk: what is refused and with which words, and what a crash may leave in it.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but clippy does not see that all of this file is one"
)]

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use segue_connectors::embedded::{Embedded, OpenError, Opened, Options, SyncMode};
use segue_connectors::log::{Log, Record};

fn open(path: &Path) -> Result<Opened, OpenError> {
    Embedded::open(path, Options::default())
}

fn refusal(path: &Path) -> OpenError {
    open(path).err().expect("opening is refused")
}

/// Appends records one by one; returns the journal and where it ended after each.
fn appended(path: &Path, payloads: &[&str]) -> (PathBuf, Vec<u64>) {
    let log = open(path).unwrap().log;
    let journal = path.join("store/0.jnl");
    let ends = payloads
        .iter()
        .map(|text| {
            let payload = Bytes::copy_from_slice(text.as_bytes());
            log.append(&[Record { key: "k", payload }]).unwrap();
            used_bytes(&journal)
        })
        .collect();
    (journal, ends)
}

fn used_bytes(journal: &Path) -> u64 {
    let bytes = fs::read(journal).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

fn payloads(log: &Embedded) -> Vec<String> {
    let read = log.read(0, 0, usize::MAX).unwrap().records;
    read.iter()
        .map(|stored| String::from_utf8(stored.payload.as_deref().unwrap().to_vec()).unwrap())
        .collect()
}

fn garble(file: &Path, at: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 0x55]).unwrap();
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap().log;
    let refused = refusal(folder.path());
    assert!(matches!(&refused, OpenError::Locked { path } if path == folder.path()));
    assert!(refused.to_string().ends_with("log is open in another process"), "{refused}");
    drop(first);
    open(folder.path()).unwrap();
}

#[test]
fn another_number_of_partitions_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let options = Options { partitions: NonZeroU32::new(4).unwrap(), sync: SyncMode::Fsync };
    let refused = Embedded::open(folder.path(), options).err().unwrap();
    assert!(matches!(refused, OpenError::Partitions { stored: 1, asked: 4, .. }), "{refused}");
}

#[test]
fn an_unknown_format_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let format = folder.path().join("store/format.json");
    assert_eq!(
        fs::read_to_string(&format).unwrap(),
        r#"{"format":"segue-log","version":1,"partitions":1}"#,
        "golden: logs of version 1 look like this for ever"
    );
    fs::write(&format, r#"{"format":"segue-log","version":2,"shards":[]}"#).unwrap();
    let refused = refusal(folder.path());
    assert!(matches!(refused, OpenError::Format { version: 2, .. }), "{refused}");
    assert!(refused.to_string().contains(r#"unknown log format "segue-log" version 2"#), "{refused}");
    fs::write(&format, "{").unwrap();
    assert!(matches!(refusal(folder.path()), OpenError::Corrupt { path, .. } if path == format));
    fs::remove_file(&format).unwrap();
    assert!(matches!(refusal(folder.path()), OpenError::Io { path, .. } if path == format));
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let refused = refusal(&file.join("log"));
    assert!(matches!(refused, OpenError::Io { doing: "making the folder", .. }), "{refused}");
}

#[test]
fn a_creation_that_was_killed_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("store.new")).unwrap();
    fs::write(folder.path().join("store.new/0.jnl"), "half").unwrap();
    let opened = open(folder.path()).unwrap();
    assert_eq!((opened.torn_tail, opened.log.end(0)), (None, Ok(0)));
}

/// Wherever the journal is cut within the last batch, all records before it are there, the cut is
/// reported, and the log goes on.
#[test]
fn a_torn_tail_is_cut_off_and_said_so() {
    let whole = tempfile::tempdir().unwrap();
    let (journal, ends) = appended(whole.path(), &["first", "second", "the third, which a crash tears"]);
    let [_, good, end] = ends[..] else { panic!("three batches") };
    let bytes = fs::read(&journal).unwrap();
    // The records never leave the journal here, so that one folder serves for all cuts.
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    for cut in good..=end {
        for zeros in [0, 4_096] {
            let mut torn = bytes[..cut as usize].to_vec();
            let used = torn.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
            torn.resize(torn.len() + zeros, 0);
            let journal = folder.path().join("store/0.jnl");
            fs::write(&journal, torn).unwrap();
            let opened = open(folder.path()).unwrap();
            let tail = opened.torn_tail.map(|tail| (tail.path, tail.kept_bytes, tail.cut_bytes));
            let torn = used > good && cut < end;
            assert_eq!(tail, torn.then(|| (journal, good, used - good)), "cut at {cut}");
            let kept = if cut == end { 3 } else { 2 };
            assert_eq!(payloads(&opened.log).len(), kept, "cut at {cut}");
            let next = Record { key: "k", payload: Bytes::from_static(b"next") };
            assert_eq!(opened.log.append(&[next]).unwrap()[0].offset, kept as u64);
            drop(opened.log);
            let again = open(folder.path()).unwrap();
            assert_eq!(again.torn_tail, None);
            assert_eq!(payloads(&again.log).last().unwrap(), "next");
        }
    }
}

/// A power cut may write the pages of the last batch in any order, so any byte of it may be wrong.
#[test]
fn a_garbled_tail_is_cut_off_and_said_so() {
    let whole = tempfile::tempdir().unwrap();
    let (journal, ends) = appended(whole.path(), &["first", "second", "the third, which a crash garbles"]);
    let [_, good, end] = ends[..] else { panic!("three batches") };
    let bytes = fs::read(&journal).unwrap();
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    for at in good..end {
        // Bytes 5..13 of a batch are its sequence number, which its checksum does not cover.
        if (good + 5..good + 13).contains(&at) {
            continue;
        }
        let journal = folder.path().join("store/0.jnl");
        fs::write(&journal, &bytes[..end as usize]).unwrap();
        garble(&journal, at);
        let opened = open(folder.path()).unwrap();
        let tail = opened.torn_tail.unwrap_or_else(|| panic!("garbled at {at}"));
        assert_eq!((tail.kept_bytes, tail.cut_bytes), (good, end - good));
        assert!(tail.to_string().ends_with(&format!("bytes cut off at byte {good}")), "{tail}");
        assert_eq!(payloads(&opened.log), ["first", "second"]);
    }
}

/// Damage before the last batch is not what a crash does: records behind it were acknowledged.
#[test]
fn damage_before_the_last_batch_is_corruption_and_nothing_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, ends) = appended(folder.path(), &["first", "second", "third"]);
    garble(&journal, ends[0] + 20);
    let before = fs::read(&journal).unwrap();
    let refused = refusal(folder.path());
    assert!(matches!(&refused, OpenError::Corrupt { path, .. } if *path == journal), "{refused}");
    assert!(refused.to_string().contains(&format!("damaged at byte {}", ends[0])), "{refused}");
    assert!(fs::read(&journal).unwrap() == before, "the journal is as it was");
}

/// More than the store keeps in memory and in one journal: reopening finds it in tables and journals alike.
#[test]
fn a_log_of_many_journals_is_reopened_whole() {
    const RECORDS: u64 = 300;
    let folder = tempfile::tempdir().unwrap();
    let options = Options { sync: SyncMode::Os, ..Options::default() };
    let payload = |n: u64| Bytes::from(vec![n as u8; 500_000]);
    let mut newest_journal = 0;
    for half in [0..RECORDS / 2, RECORDS / 2..RECORDS] {
        let log = Embedded::open(folder.path(), options).unwrap().log;
        assert_eq!(log.end(0), Ok(half.start));
        for n in half {
            log.append(&[Record { key: "k", payload: payload(n) }]).unwrap();
        }
        drop(log);
        let journals = fs::read_dir(folder.path().join("store")).unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".jnl")?.parse::<u64>().ok()
        });
        newest_journal = newest_journal.max(journals.max().unwrap());
    }
    assert!(newest_journal >= 1, "no journal was sealed");
    let Opened { log, torn_tail } = Embedded::open(folder.path(), options).unwrap();
    assert_eq!(torn_tail, None);
    let mut next = 0;
    while next < RECORDS {
        for stored in log.read(0, next, 5_000_000).unwrap().records {
            assert_eq!((stored.offset, stored.payload), (next, Some(payload(next))));
            next += 1;
        }
    }
}
