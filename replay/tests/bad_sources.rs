//! Sources that are broken, each in its way: the message names the place, everything else still loads.

use std::fs;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use segue_dataflow::event::{Change, Event, TRACKS_MAX};
use segue_replay::source::{Counts, Fault, Reader, Sink, find};

#[derive(Default)]
struct Heard {
    playlists: Vec<String>,
    described: Vec<String>,
    faults: Vec<String>,
}

impl Sink for Heard {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        match &event.change {
            Change::TrackDescribed { .. } => self.described.push(event.to_json()),
            _ => self.playlists.push(event.key().to_owned()),
        }
        ControlFlow::Continue(())
    }

    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault.to_string());
    }
}

fn hear(dir: &Path) -> (Heard, Counts) {
    let (mut heard, mut reader) = (Heard::default(), Reader::new());
    assert!(
        reader
            .read_all(&find(&[dir.to_owned()]).expect("what was written just now"), &mut heard)
            .is_continue()
    );
    assert_eq!(reader.counts().faults as usize, heard.faults.len());
    (heard, reader.counts())
}

fn slice(pids: &[u64], tracks: &str) -> String {
    let each: Vec<_> =
        pids.iter().map(|p| format!("{{\"name\":\"p\",\"pid\":{p},\"tracks\":[{tracks}]}}")).collect();
    format!("{{\"info\":{{}},\n\"playlists\":[\n{}\n]}}", each.join(",\n"))
}

fn gz(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).expect("what was written just now");
    packed.finish().expect("what was written just now")
}

#[test]
fn a_bad_slice_is_named_with_its_place_and_the_others_load() {
    let good = slice(&[9], r#"{"track_uri":"t"}"#);
    let cut = slice(&[1, 2], r#"{"track_uri":"t"}"#);
    let cut = &cut[..cut.len() - 20];
    for (name, bad, taken, message) in [
        ("a.json", cut.as_bytes().to_vec(), 1, ["a.json:4:", "EOF while parsing"]),
        ("a.json", b"[]".to_vec(), 0, ["a.json:1:", "expected an object with `playlists`"]),
        ("a.json", b"<!doctype html>\n<p>".to_vec(), 0, ["a.json:1:1", "expected value"]),
        ("a.json", b"{\"info\":{}}".to_vec(), 0, ["a.json:1:", "missing field `playlists`"]),
        ("a.json", b"{\"playlists\":[{\"pid\":\"x\"}]}".to_vec(), 0, ["a.json:1:", "invalid type"]),
        ("a.json", vec![], 0, ["a.json:1:", "EOF"]),
        ("a.json.gz", b"this is text, not gzip".to_vec(), 0, ["a.json.gz:1:0: ", "invalid gzip header"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), &bad).unwrap();
        fs::write(dir.path().join("b.json"), &good).unwrap();
        let (heard, _) = hear(dir.path());
        assert_eq!(heard.faults.len(), 1, "{:?}", heard.faults);
        assert!(message.iter().all(|part| heard.faults[0].contains(part)), "{}", heard.faults[0]);
        assert_eq!(heard.playlists.len(), taken + 1, "{}", heard.faults[0]);
        assert_eq!(heard.playlists.last().unwrap(), "mpd:playlist:9");
    }
}

#[test]
fn a_gzip_stream_that_ends_early_gives_what_is_before() {
    let dir = tempfile::tempdir().unwrap();
    let pids: Vec<u64> = (0..2000).collect();
    let packed = gz(&slice(&pids, r#"{"track_uri":"t"}"#));
    let slice = &packed[..packed.len() / 2];
    fs::write(dir.path().join("a.json.gz"), slice).unwrap();
    let event = r#"{"type":"playlist_deleted","playlist":"p","at":"2024-05-01T12:00:00Z"}"#;
    let packed = gz(&format!("{event}\n").repeat(2000));
    let edits = &packed[..packed.len() / 2];
    fs::write(dir.path().join("b.ndjson.gz"), edits).unwrap();
    let (heard, counts) = hear(dir.path());
    assert_eq!(heard.faults.len(), 2);
    for (fault, (name, packed)) in heard.faults.iter().zip([("a.json.gz", slice), ("b.ndjson.gz", edits)]) {
        // Line and column of the last byte that comes out.
        let mut text = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut text).expect_err("it ends early");
        let (line, last) = text.split(|b| *b == b'\n').enumerate().last().expect("a line");
        let place = format!("{name}:{}:{}: could not read on from here", line + 1, last.len());
        assert!(line > 100 && fault.contains(&place), "{place}: {fault}");
    }
    assert!((1..2000).contains(&counts.playlists), "{counts:?}");
    assert!(counts.events > counts.playlists, "{counts:?}");
}

#[test]
fn a_bad_line_is_named_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let event = r#"{"type":"playlist_deleted","playlist":"p","at":"2024-05-01T12:00:00Z"}"#;
    let eaten = event.replace("deleted", "eaten");
    fs::write(dir.path().join("e.ndjson"), format!("{event}\n{eaten}\n\n{{\n{event}")).unwrap();
    let (heard, _) = hear(dir.path());
    assert_eq!(heard.playlists.len(), 2);
    assert!(heard.faults[0].contains("e.ndjson:2: unknown_type"), "{}", heard.faults[0]);
    assert!(heard.faults[1].contains("e.ndjson:4: malformed_json"), "{}", heard.faults[1]);
}

#[test]
fn too_long_a_playlist_is_named_and_repeated_rows_count_once() {
    let rows = |n: usize| (0..n).map(|i| format!("{{\"track_uri\":\"t{i}\"}}")).collect::<Vec<_>>().join(",");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.json"), slice(&[1], &rows(TRACKS_MAX + 1))).unwrap();
    let twice = format!("{},{}", rows(TRACKS_MAX), rows(TRACKS_MAX));
    fs::write(dir.path().join("b.json"), slice(&[2], &twice)).unwrap();
    let (heard, _) = hear(dir.path());
    assert_eq!(heard.playlists, ["mpd:playlist:2"]);
    assert!(heard.faults[0].contains("mpd:playlist:1 (\"p\") has 20001 tracks"), "{}", heard.faults[0]);
}

#[test]
fn what_is_empty_is_absent_and_names_come_once() {
    let dir = tempfile::tempdir().unwrap();
    let rows = r#"{"track_uri":"","track_name":"x"},{"track_name":"y"},{"track_uri":"bare","track_name":""},
        {"track_uri":"t","track_name":"T","artist_uri":"","artist_name":"lost","album_uri":"b","album_name":"","duration_ms":0},
        {"track_uri":"t","track_name":"again"}"#;
    fs::write(dir.path().join("a.json"), slice(&[1, 2], rows)).unwrap();
    let (heard, counts) = hear(dir.path());
    assert_eq!((counts.rows, counts.rows_without_track), (10, 4));
    assert_eq!(
        heard.described,
        [
            r#"{"v":1,"type":"track_described","track":{"uri":"t","name":"T","album":{"uri":"b"}},"at":"1970-01-01T00:00:00Z"}"#
        ]
    );
}

#[test]
fn sources_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("stats.txt"), "x").unwrap();
    let message = |path: PathBuf| find(&[path]).unwrap_err().to_string();
    assert!(message(dir.path().join("stats.txt")).contains("stats.txt: neither"));
    assert!(message(dir.path().to_owned()).contains("holds no slice"));
    assert!(message(dir.path().join("gone.json")).contains("gone.json: could not open"));
}
