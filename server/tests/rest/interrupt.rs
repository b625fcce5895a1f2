//! `segue replay` in a terminal: a bar, and after Ctrl-C how to go on; going on with that gives the same state.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Ended, Server, until};
use crate::kills::{Data, from_offset};

/// A command in a terminal of its own, whose keys are what is written to its input.
fn in_terminal(command: &str, typed: impl FnOnce(&mut dyn Write)) -> (Option<i32>, String) {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--flush", "--command", command, "/dev/null"]);
    let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script");
    let mut script = Ended(script);
    let (mut keys, mut screen) = (script.0.stdin.take().unwrap(), script.0.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut shown = Vec::new();
        screen.read_to_end(&mut shown).expect("a pipe");
        String::from_utf8_lossy(&shown).into_owned()
    });
    typed(&mut keys);
    // The pipe stays open until the command has ended: its end would be a key too.
    let shown = reader.join().expect("no panic");
    (script.0.wait().expect("it ends").code(), shown)
}

/// The times left of all bars on a screen, each after the events and their rate.
fn etas(shown: &str) -> impl Iterator<Item = &str> {
    let bars = shown.split(['\r', '\n']).filter(|line| line.contains("% of the sources  "));
    bars.filter_map(|bar| bar.split_once(" events, ")?.1.split_once("/s  eta ")).map(|(_, eta)| eta)
}

#[test]
fn an_interrupted_replay_says_how_to_go_on() {
    let data = Data::get();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let replay = |more: &str| {
        let (segue, source) = (env!("CARGO_BIN_EXE_segue"), data.folder.path().display());
        // `exec`: some shells that stay in between end with 130 after Ctrl-C, whatever the command did.
        format!("exec {segue} replay {source} --to {} {more}", server.api)
    };
    // So slow that it never comes to its end by itself.
    let (code, shown) = in_terminal(&replay("--rate 2000"), |keys| {
        until("some events", || (server.get("/v1/state").body["offsets"]["0"].as_u64()? > 500).then_some(()));
        keys.write_all(b"\x03").expect("a pipe");
    });
    assert_eq!(code, Some(1), "{shown}");
    let next = from_offset(&shown).unwrap_or_else(|| panic!("{shown}"));
    assert!(next > 500 && next < data.events, "{shown}");
    assert!(shown.contains(&format!("interrupted after {next} events")), "{shown}");
    assert!(etas(&shown).next().is_some(), "{shown}");
    let taken = server.state()["offsets"]["0"].as_u64();
    assert_eq!(taken, Some(next), "what it says is what the server has");
    let (code, shown) = in_terminal(&replay(&format!("--from-offset {next}")), |_| {});
    assert_eq!(code, Some(0), "{shown}");
    let state = server.state();
    assert_eq!((&state["digest"], &state["offsets"]["0"]), (&json!(data.digest), &json!(data.events)));
    // Past the slice, the time left can be told.
    let (code, shown) =
        in_terminal(&replay(&format!("--rate 1000 --from-offset {}", data.events - 1000)), |_| {});
    let told = etas(&shown).any(|eta| eta.starts_with(|c: char| c.is_ascii_digit()));
    assert!(code == Some(0) && told, "{shown}");
}
