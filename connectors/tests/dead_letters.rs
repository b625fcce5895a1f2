//! Dead letters are kept whole within their limits, counted, listed by number, and there after reopening.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but clippy does not see that all of this file is one"
)]

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use segue_connectors::dead_letters::{
    DeadLetter, DeadLetters, Kept, Origin, RAW_BYTES_MAX, Raw, Refused, TEXT_BYTES_MAX,
};
use segue_connectors::faulty::{Faulty, Step};
use segue_connectors::log::{Error, Log, Position};
use segue_connectors::memory::Memory;
use segue_dataflow::event::Code;

fn letter(position: usize, raw: &[u8]) -> Refused {
    Refused {
        code: Code::MissingField,
        field: Some("track.uri".to_owned()),
        detail: "a track needs a uri".to_owned(),
        origin: Origin::Sent { source: "http".to_owned(), position: position.to_string() },
        at_ms: 1_700_000_000_000,
        key: None,
        payload: Some(Bytes::copy_from_slice(raw)),
    }
}

fn on(log: Arc<dyn Log>, name: &str) -> DeadLetters {
    DeadLetters::Log { log, path: name.into() }
}

fn numbers(letters: &[(u64, DeadLetter)]) -> Vec<u64> {
    letters.iter().map(|(number, _)| *number).collect()
}

#[test]
fn letters_are_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let pushed: Vec<Refused> = (0..40).map(|n| letter(n, &vec![b'x'; n * 2_500])).collect();
    let (letters, _) = DeadLetters::open(folder.path()).unwrap();
    letters.push(&mut pushed[..1].to_vec()).unwrap();
    letters.push(&mut pushed[1..].to_vec()).unwrap();
    drop(letters);
    let (letters, torn_tail) = DeadLetters::open(folder.path()).unwrap();
    assert_eq!((letters.count(), torn_tail), (Ok(40), None));
    let list = |from, limit| letters.list(from, limit, RAW_BYTES_MAX).unwrap();
    let listed = list(0, usize::MAX);
    assert_eq!(numbers(&listed), (0..40).collect::<Vec<u64>>());
    assert_eq!(
        listed.into_iter().map(|(_, letter)| letter).collect::<Vec<_>>(),
        pushed.iter().map(DeadLetter::of).collect::<Vec<_>>()
    );
    assert_eq!(numbers(&list(38, 10)), [38, 39]);
    assert_eq!(numbers(&list(5, 2)), [5, 6]);
    assert_eq!(numbers(&list(40, 1)), [0; 0]);
    assert_eq!(numbers(&list(99, 1)), [0; 0]);
    assert_eq!(numbers(&list(0, 0)), [0; 0]);
    let on_the_log = Refused { origin: Origin::Log(Position { partition: 2, offset: 7 }), ..letter(7, b"") };
    letters.push(&mut vec![on_the_log.clone()]).unwrap();
    assert_eq!((letters.mark(&pushed[0]), letters.mark(&on_the_log)), (None, Some("2:7".to_owned())));
    assert_eq!(letters.marks().unwrap(), ["2:7".to_owned()].into());
}

#[test]
fn the_json_of_a_letter_is_fixed() {
    let log = Arc::new(Memory::new(NonZeroU32::MIN));
    let letters = on(log.clone(), "memory");
    letters.push(&mut vec![letter(3, b"{}"), Refused { field: None, ..letter(4, b"\xff\x00") }]).unwrap();
    let stored = log.read(0, 0, usize::MAX).unwrap().records;
    let text = |at: usize| std::str::from_utf8(stored[at].payload.as_deref().unwrap()).unwrap();
    assert_eq!(
        text(0),
        r#"{"code":"missing_field","field":"track.uri","detail":"a track needs a uri","source":"http","position":"3","at_ms":1700000000000,"raw":{"bytes":2,"text":"{}"}}"#
    );
    assert_eq!(
        text(1),
        r#"{"code":"missing_field","detail":"a track needs a uri","source":"http","position":"4","at_ms":1700000000000,"raw":{"bytes":2,"base64":"/wA="}}"#
    );
}

#[test]
fn raw_records_are_cut_at_the_limit_and_between_characters() {
    let exact = "a".repeat(RAW_BYTES_MAX);
    assert!(Raw::of(exact.as_bytes(), RAW_BYTES_MAX).kept == Kept::Text(exact.clone()));
    let umlauts = format!("a{}", "ü".repeat(RAW_BYTES_MAX));
    let raw = Raw::of(umlauts.as_bytes(), RAW_BYTES_MAX);
    assert_eq!(raw.bytes, 1 + 2 * RAW_BYTES_MAX as u64);
    assert!(raw.kept == Kept::Text(umlauts[..RAW_BYTES_MAX - 1].to_owned()));
    let ends_within_a_character = b"a\xc3";
    assert!(matches!(Raw::of(ends_within_a_character, RAW_BYTES_MAX).kept, Kept::Base64(_)));
}

#[test]
fn long_texts_are_cut_too() {
    let letters = on(Arc::new(Memory::new(NonZeroU32::MIN)), "memory");
    let long = "ü".repeat(TEXT_BYTES_MAX);
    letters.push(&mut vec![Refused { detail: long.clone(), field: Some(long), ..letter(0, b"") }]).unwrap();
    let (_, kept) = letters.list(0, 1, RAW_BYTES_MAX).unwrap().remove(0);
    assert_eq!(kept.detail.len(), TEXT_BYTES_MAX);
    assert_eq!(kept.field.unwrap().len(), TEXT_BYTES_MAX);
}

#[test]
fn a_full_log_is_told_to_the_caller() {
    let log = Faulty::new(Arc::new(Memory::new(NonZeroU32::MIN)));
    log.then([Step::Full]);
    let letters = on(Arc::new(log), "faulty");
    let mut left = vec![letter(0, b"")];
    assert!(matches!(letters.push(&mut left), Err(Error::Unwritable { .. })));
    assert_eq!((letters.count(), left.len()), (Ok(0), 1));
}

#[test]
fn what_is_no_letter_is_corruption() {
    let log = Arc::new(Memory::new(NonZeroU32::MIN));
    let record = segue_connectors::log::Record { key: "", payload: "{}".into() };
    log.append(&[record]).unwrap();
    let error = on(log, "there").list(0, 1, RAW_BYTES_MAX).unwrap_err();
    assert!(error.to_string().starts_with("there: log is corrupt: dead letter 0: missing field"), "{error}");
}
