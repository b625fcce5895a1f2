//! The README's session and commands, run as they stand there; of the session also what it prints.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Ended, segue, until};

const README: &str = include_str!("../../../README.md");

/// `…` stands for anything.
fn matches(expected: &str, said: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = said.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (n, part) in parts.iter().enumerate() {
        if n + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[test]
fn the_session_in_the_readme_is_what_happens() {
    let session =
        README.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a session");
    let start = README.split("`segue demo ").nth(1).and_then(|rest| rest.split('`').next()).expect("a demo");
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready.json");
    let demo = segue()
        .arg("demo")
        .args(start.split_whitespace())
        .args(["--port", "0", "--ready-file"])
        .arg(&ready)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _demo = Ended(demo);
    let addresses =
        until("the ready file", || serde_json::from_slice::<Value>(&std::fs::read(&ready).ok()?).ok());
    let api = addresses["api"].as_str().unwrap();
    let run = |command: &str| {
        let out =
            Command::new("bash").args(["-c", &command.replace("localhost:8080", api)]).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
    };
    let mut steps = session
        .trim()
        .split("$ ")
        .filter(|step| !step.is_empty())
        .map(|step| step.trim_end().split_once('\n').expect("a command and its output"));
    // The first shows the state once the demo is loaded: wait for that.
    let (first, expected) = steps.next().expect("a step");
    until("the demo's state", || Some(run(first)).filter(|said| matches(expected, said)));
    let mut ran = 1;
    for (command, expected) in steps {
        let said = run(command);
        assert!(matches(expected, &said), "$ {command}\nexpected {expected}\ngot      {said}");
        ran += 1;
    }
    assert!(ran >= 5, "only {ran} steps");
}

/// The lines of the shell blocks, without what is said of them.
fn lines() -> Vec<&'static str> {
    let blocks = README.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or(line).trim());
    lines.filter(|line| !line.is_empty()).collect()
}

/// A folder for the commands, with `segue` on the path.
struct Shell {
    folder: tempfile::TempDir,
    path: OsString,
}

impl Shell {
    fn new() -> Self {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_segue"));
        let there = std::env::var_os("PATH").unwrap_or_default();
        let folders = binary.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&there));
        Shell { folder: tempfile::tempdir().unwrap(), path: std::env::join_paths(folders).unwrap() }
    }

    fn run(&self, command: &str) -> Output {
        let mut bash = Command::new("bash");
        bash.args(["-c", command]).env("PATH", &self.path).current_dir(self.folder.path());
        bash.stdin(Stdio::null()).output().unwrap()
    }

    /// Also that it is done well.
    fn done(&self, command: &str) -> String {
        let done = self.run(command);
        assert!(done.status.success(), "$ {command}\n{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// A command that stays, on free ports; with the address of its API.
    fn start(&self, command: &str) -> (Ended, String) {
        let ready = self.folder.path().join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let child = Command::new("bash")
            .args(["-c", &format!("exec {} --port 0 --ready-file ready.json", command.trim_end_matches('&'))])
            .env("PATH", &self.path)
            .env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let child = Ended(child);
        let addresses =
            until("the ready file", || serde_json::from_slice::<Value>(&std::fs::read(&ready).ok()?).ok());
        (child, addresses["api"].as_str().unwrap().to_owned())
    }
}

#[test]
fn the_commands_in_the_readme_do_what_it_says() {
    let shell = Shell::new();
    let said = |command: &str| {
        assert!(README.contains(command), "the README has no {command}");
        command.to_owned()
    };
    let generate = said("segue generate --playlists 20000 --out DIR");
    shell.done(&generate.replace("20000", "400").replace("DIR", "path/to/mpd/data"));
    assert!(shell.done(&said("segue config show")).lines().count() > 20);

    let (mut server, mut api) = (None, String::new());
    let playlists = |api: &str| {
        let state = shell.done(&format!("curl -sS {api}/v1/state"));
        serde_json::from_str::<Value>(&state).unwrap()["playlists"].as_u64()
    };
    let mut ran = Vec::new();
    for line in lines() {
        let command = line.replace("localhost:8080", &api);
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            // The tests of Kafka do that.
            _ if line.contains("KAFKA") || line.contains(".services") => continue,
            // See below.
            ["make", ..] => continue,
            ["segue", "serve", ..] => {
                let (child, address) = shell.start(&command);
                (server, api) = (Some(child), address);
            }
            ["segue", "replay", ..] => {
                shell.done(&command);
                assert_eq!(playlists(&api), Some(400));
            }
            ["segue", "demo", ..] => {
                let (_demo, of_demo) = shell.start(&command);
                until("the demo's playlists", || playlists(&of_demo).filter(|n| *n == 400));
            }
            ["segue", "snapshot", "create"] => {
                assert!(README.contains("# list, verify, export (plain Parquet files)"));
                for more in ["create", "list", "verify", "export --out parquet"] {
                    shell.done(&command.replace("create", more));
                }
                assert!(shell.folder.path().join("parquet").read_dir().unwrap().count() >= 3);
            }
            ["segue", "dead-letters", "list"] => {
                let send = format!("curl -sS {api}/v1/events -d '{}'", json!(vec![5; 13]));
                assert!(shell.done(&send).contains(r#""accepted":0"#));
                let listed = shell.done(&command);
                assert_eq!(listed.lines().filter(|line| !line.starts_with('\t')).count(), 13, "{listed}");
            }
            ["segue", "dead-letters", "show", number] => {
                assert!(shell.done(&command).starts_with(&format!("number: {number}\n")));
            }
            ["segue", "dead-letters", "redrive", ..] => {
                // No version takes these for events.
                let done = shell.run(&command);
                let text = String::from_utf8(done.stdout).unwrap();
                assert_eq!(
                    (done.status.code(), text.matches("still no event").count()),
                    (Some(1), 4),
                    "{text}"
                );
            }
            ["segue", "evaluate", ..] => {
                let report = shell.done(&command);
                assert!(report.contains("playlist kNN"), "{report}");
            }
            _ => panic!("what is to become of {line:?}?"),
        }
        ran.push(line);
    }
    assert!(ran.len() >= 8 && server.is_some(), "{ran:?}");
}

#[test]
fn make_has_the_targets_that_the_readme_names() {
    let named = README.match_indices("make ").filter(|(at, _)| README[..*at].ends_with(['\n', '`']));
    let target = |(at, found): (usize, &str)| README[at + found.len()..].split(['`', ' ', '\n']).next();
    let targets: BTreeSet<&str> = named.filter_map(target).collect();
    assert!(targets.len() >= 5, "{targets:?}");
    for target in targets {
        let mut make = Command::new("make");
        make.args(["-n", target]).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let done = make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").output().unwrap();
        assert!(done.status.success(), "make {target}: {}", String::from_utf8_lossy(&done.stderr));
    }
}
