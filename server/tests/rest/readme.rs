//! The README's session, run as it stands there: commands and what they print.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Ended, segue, until};

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
    let readme = include_str!("../../../README.md");
    let session =
        readme.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a session");
    let start = readme.split("`segue demo ").nth(1).and_then(|rest| rest.split('`').next()).expect("a demo");
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
    let loaded = until("the demo's state", || Some(run(first)).filter(|said| matches(expected, said)));
    assert!(matches(expected, &loaded));
    let mut ran = 1;
    for (command, expected) in steps {
        let said = run(command);
        assert!(matches(expected, &said), "$ {command}\nexpected {expected}\ngot      {said}");
        ran += 1;
    }
    assert!(ran >= 5, "only {ran} steps");
    assert!(readme.contains("make test"));
}
