//! `segue replay` by the binary, where there is no terminal.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::harness::{Ended, Server, segue};

/// A slice of so many playlists, each of one track.
fn slice(pids: std::ops::Range<u32>) -> String {
    let each: Vec<String> = pids
        .map(|pid| json!({"pid": pid, "name": "p", "tracks": [{"track_uri": "t"}]}).to_string())
        .collect();
    format!("{{\"info\":{{}},\n\"playlists\":[\n{}\n]}}", each.join(",\n"))
}

#[test]
fn a_truncated_slice_is_named_and_the_others_load() {
    let folder = tempfile::tempdir().unwrap();
    let slices = folder.path().join("slices");
    fs::create_dir(&slices).unwrap();
    let cut = slice(0..3);
    fs::write(slices.join("mpd.slice.0-2.json"), &cut[..cut.len() - 20]).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::none());
    packed.write_all(slice(3..6).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    fs::write(slices.join("mpd.slice.3-5.json.gz"), &packed[..packed.len() - 40]).unwrap();
    fs::write(slices.join("mpd.slice.6-8.json"), slice(6..9)).unwrap();
    let server = Server::start(folder.path());
    let done = segue().arg("replay").arg(&slices).args(["--to", &server.api]).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{said}");
    // Line 5 is the last playlist of each.
    assert!(said.contains("mpd.slice.0-2.json:5:"), "{said}");
    assert!(said.contains("mpd.slice.3-5.json.gz:5:"), "{said}");
    assert_eq!(said.lines().filter(|line| line.contains("the playlists before it were taken")).count(), 1);
    let last = said.lines().last().unwrap();
    assert!(last.contains(" events sent in ") && last.ends_with(", 2 faults in the sources"), "{said}");
    let state = server.state();
    assert_eq!((&state["playlists"], &state["entries"]), (&json!(7), &json!(7)), "{said}");
    assert_eq!(server.get("/v1/playlists/mpd:playlist:8").status, 200);
    assert_eq!(server.get("/v1/playlists/mpd:playlist:5").status, 404);
}

#[test]
fn a_line_every_few_seconds_says_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let generated = segue()
        .args(["generate", "--playlists", "1", "--events", "5000", "--out"])
        .arg(folder.path())
        .output();
    assert!(generated.unwrap().status.success());
    // So slow that it does not end before its first line.
    let mut replay = segue();
    replay.arg("replay").arg(folder.path()).args(["--to", "-", "--rate", "400"]);
    let replay = replay.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut replay = Ended(replay);
    let mut said = String::new();
    BufReader::new(replay.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let numbers: Vec<f64> =
        said.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let &[events, rate, percent, left] = &*numbers else { panic!("{said}") };
    assert!(
        said == format!("{events} events, {rate}/s, {percent} % of the sources read, about {left} s left\n"),
        "{said}"
    );
    assert!(events > 100.0 && rate > 0.0 && percent < 100.0, "{said}");
    assert!(replay.0.try_wait().unwrap().is_none(), "it is still running");
}
