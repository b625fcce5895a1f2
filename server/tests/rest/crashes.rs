//! kill -9 under load, with snapshots all the time, and full disks: no acknowledged event is missing, and the digest is the one the
//! events make. And what a server says before it is caught up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::harness::{Server, segue, until};
use crate::twin::{Twin, log_of};

/// In CI; the soak run does ten times as many.
const ROUNDS: u32 = 20;

#[test]
fn no_acknowledged_event_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    // Most rounds last some ten milliseconds.
    let often = [("SEGUE__SNAPSHOTS__EVERY", "2ms")];
    let manifests = folder.path().join("data/snapshots/manifests");
    let mut with_snapshot = 0;
    let mut server = Server::start_with(folder.path(), &often);
    let rounds = if std::env::var_os("SEGUE_SOAK").is_some() { 10 * ROUNDS } else { ROUNDS };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // No two events are the same: whether one without an answer is on the log can be seen.
    let (sent, acknowledged) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    for round in 0..rounds {
        let enough = rng.random_range(1..40_usize);
        let running = Arc::new(AtomicBool::new(true));
        let before = acknowledged.lock().unwrap().len();
        std::thread::scope(|scope| {
            for client in 0..3 {
                let (server, running, sent, acknowledged) = (&server, &running, &sent, &acknowledged);
                scope.spawn(move || {
                    for n in 0_u32.. {
                        if !running.load(Ordering::SeqCst) {
                            break;
                        }
                        let (kind, track) = if n % 3 == 2 { ("removed", n - 1) } else { ("added", n) };
                        let event = json!({"v": 1, "type": format!("track_{kind}"), "playlist": format!("p:{client}:{}", track % 7), "track": {"uri": format!("t:{round}:{client}:{track}")}, "at": "2024-05-01T12:00:00Z"}).to_string();
                        sent.lock().unwrap().insert(event.clone());
                        match server.try_post("/v1/events", "application/json", &event) {
                            Some(reply) if reply.status == 202 => drop(acknowledged.lock().unwrap().insert(event)),
                            _ => break,
                        }
                    }
                });
            }
            let id = server.pid().to_string();
            until("enough acknowledged", || {
                (acknowledged.lock().unwrap().len() >= before + enough).then_some(())
            });
            assert!(std::process::Command::new("kill").args(["-9", &id]).status().unwrap().success());
            running.store(false, Ordering::SeqCst);
        });
        drop(server);
        let log = log_of(folder.path());
        let there: BTreeSet<&str> = log.iter().map(|event| str::from_utf8(event).unwrap()).collect();
        let (sent, acknowledged) = (sent.lock().unwrap(), acknowledged.lock().unwrap());
        let missing: Vec<_> = acknowledged.iter().filter(|event| !there.contains(&***event)).collect();
        assert!(missing.is_empty(), "round {round}: acknowledged and gone: {missing:?}");
        assert!(there.iter().all(|event| sent.contains(*event)), "round {round}: something nobody sent");
        // Acknowledged or not, each was sent once: the log holds it once or not at all.
        assert_eq!(log.len(), there.len(), "round {round}: something twice");
        let mut twin = Twin::default();
        log.iter().for_each(|event| twin.apply(event));
        with_snapshot += u32::from(std::fs::read_dir(&manifests).is_ok_and(|all| all.count() > 0));
        server = Server::start_with(folder.path(), &often);
        let state = server.state();
        let shown = (&state["digest"], &state["entries"], &state["offsets"]["0"]);
        assert_eq!(
            shown,
            (&json!(twin.digest()), &json!(twin.entries()), &json!(log.len())),
            "round {round}"
        );
    }
    assert!(with_snapshot > rounds / 2, "{with_snapshot} of {rounds} had a snapshot to go on from");
}

fn added(track: &str) -> String {
    let event = json!({"v": 1, "type": "track_added", "playlist": "p", "track": {"uri": track}, "at": "2024-05-01T12:00:00Z"});
    event.to_string()
}

#[test]
fn a_torn_tail_is_cut_off_and_said_so() {
    for garbage in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        let events = ["one", "two", "three"].map(added);
        for event in &events {
            assert_eq!(server.post("/v1/events", "application/json", event).status, 202);
        }
        drop(server);
        let journal = folder.path().join("data/log/store/0.jnl");
        let mut bytes = std::fs::read(&journal).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        bytes.truncate(used);
        // The last batch half written, or the beginning of one more after it.
        let (kept, torn) = if garbage { (3, "garbage".len()) } else { (2, 0) };
        if garbage {
            bytes.extend_from_slice(b"garbage");
        } else {
            bytes.truncate(used - 5);
        }
        std::fs::write(&journal, bytes).unwrap();

        let said = folder.path().join("said");
        let mut command = segue();
        command.stderr(std::fs::File::create(&said).unwrap());
        let server = Server::launch(command, folder.path(), &[]);
        let state =
            until("an answer", || Some(server.get("/v1/state")).filter(|reply| reply.status == 200)).body;
        let mut twin = Twin::default();
        events[..kept].iter().for_each(|event| twin.apply(event.as_bytes()));
        let shown = (&state["digest"], &state["offsets"]["0"]);
        assert_eq!(shown, (&json!(twin.digest()), &json!(kept)), "garbage: {garbage}");
        let said = std::fs::read_to_string(said).unwrap();
        let warning = said.lines().find(|line| line.contains("torn tail of ")).expect("a warning");
        assert!(warning.contains("WARN") && warning.contains("data/log/store/0.jnl: "), "{warning}");
        let cut = if garbage {
            format!("torn tail of {torn} bytes cut off at byte {used}")
        } else {
            "bytes cut off at byte ".into()
        };
        assert!(warning.contains(&cut), "{warning}");
        assert_eq!(server.post("/v1/events", "application/json", added("four")).status, 202);
        let server = server.again();
        twin.apply(added("four").as_bytes());
        assert_eq!(server.state()["digest"], twin.digest());
    }
}

/// The disk is full at files of so many KiB: a limit that the shell sets.
const FULL_KIB: u32 = 300;

#[test]
fn a_full_disk_is_told_at_once_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // The files that are made at the first start are larger than the limit.
    assert_eq!(Server::start(folder.path()).stop(), Some(0));
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &format!(r#"trap "" XFSZ; ulimit -f {FULL_KIB}; exec "$0" "$@""#)]);
    shell.arg(segue().get_program());
    let server = Server::launch(shell, folder.path(), &[]);
    let mut acknowledged = Vec::new();
    let track = |n: usize| format!("{n}:{}", "x".repeat(500));
    let refused = loop {
        let track = track(acknowledged.len());
        let reply = server.post("/v1/events", "application/json", added(&track));
        if reply.status != 202 {
            break reply;
        }
        acknowledged.push(track);
        assert!(acknowledged.len() < 10_000, "the limit does not hold");
    };
    assert!(acknowledged.len() > 10, "{}", refused.body);
    // The first may be on the log or not; whoever comes after it is told that no more is taken.
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("maybe_appended")), "{}", refused.body);
    let later = server.post("/v1/events", "application/json", added("t"));
    assert_eq!((later.status, &later.body["code"]), (503, &json!("log_unwritable")), "{}", later.body);
    assert!(later.headers.contains_key("retry-after"));
    let ready = server.admin("/readyz");
    assert_eq!(ready.status, 503);
    assert_ne!(ready.body["checks"]["log"], "ok", "{}", ready.body);
    assert_eq!(server.admin("/livez").status, 200);
    assert_eq!(server.get("/v1/playlists/p").status, 200);
    let server = server.again();
    let there = server.get("/v1/playlists/p").body;
    let there: BTreeSet<&str> =
        there["tracks"].as_array().unwrap().iter().map(|t| t["uri"].as_str().unwrap()).collect();
    assert!(acknowledged.iter().all(|track| there.contains(&**track)));
    assert!(there.len() <= acknowledged.len() + 1);
    assert_eq!(server.post("/v1/events", "application/json", added("t")).status, 202);
}

#[test]
fn a_restarted_server_answers_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let events: Vec<String> = (0..30_000).map(|n| added(&n.to_string())).collect();
    let reply = server.post("/v1/events", "application/x-ndjson", events.join("\n"));
    server.visible(&reply);
    let digest = server.state()["digest"].clone();
    assert_eq!(server.stop(), Some(0));
    let server = Server::launch(segue(), folder.path(), &[]);
    let first = until("an answer", || {
        let reply = server.get("/v1/state");
        if reply.status != 200 {
            assert_eq!((reply.status, &reply.body["code"]), (503, &json!("catching_up")), "{}", reply.body);
            assert!(reply.headers.contains_key("retry-after"));
        }
        (reply.status == 200).then_some(reply.body)
    });
    assert_eq!((&first["entries"], &first["digest"]), (&json!(30_000), &digest));
}
