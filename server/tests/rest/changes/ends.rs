//! Who is not let in, and who is let go: with a reason, and never in silence.

use std::io::{Read, Write};

use serde_json::{Value, json};

use super::follower::{Copy, Follower};
use super::{TIGHT, delete, now, put, uri};
use crate::harness::{Server, segue, until};

/// Status and code of what is refused.
fn refused(server: &Server, query: &str, last: Option<&str>) -> (u16, String) {
    let (status, problem) = Follower::open(server, query, last).err().expect("it is refused");
    assert_eq!(problem["status"], status);
    (status, problem["code"].as_str().unwrap().to_owned())
}

fn code(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Changes some rows, and waits until that is in the graph.
fn change(server: &Server, n: u32) -> u64 {
    server.events(&json!([put("a", 0..5 + n % 2), put("b", 0..5), put("c", 0..6), put("d", 0..6)]));
    let as_of = now(server);
    until("the graph", || (server.counted("segue_graph_epoch") >= as_of).then_some(()));
    as_of
}

#[test]
fn how_readers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [TIGHT[0], TIGHT[3], ("SEGUE__CHANGES__READERS", "1")];
    let server = Server::start_with(folder.path(), &variables);
    let through = change(&server, 0);
    let many = (0..101).map(|_| format!("track={}&", uri(1))).collect::<String>();
    for (query, last, status, why) in [
        ("?track=nope", None, 404, "unknown_track"),
        (&*format!("?{many}"), None, 400, "out_of_range"),
        ("?kind=all", None, 400, "wrong_value"),
        ("?from=5", None, 400, "wrong_value"),
        ("?frm=start", None, 400, "unknown_parameter"),
        ("", Some("what"), 400, "malformed_id"),
        ("", Some("0-"), 400, "malformed_id"),
        ("?last_event_id=xyz-5", None, 400, "malformed_id"),
        ("", Some("0-+5"), 400, "malformed_id"),
        ("", Some("5bd-5"), 410, "not_kept"),
    ] {
        assert_eq!(refused(&server, query, last), code(status, why), "{query} {last:?}");
    }
    let posted = server.post("/v1/changes", "application/json", "{}");
    assert_eq!((posted.status, posted.headers["allow"].to_str().unwrap()), (405, "GET"));

    let mut copy = Copy::default();
    let mut one = Follower::open(&server, "?from=start", None).expect("a reader");
    copy.follow(&mut one, through);
    assert_eq!(refused(&server, "", None), code(503, "too_many_readers"));
    drop(one);
    let again = || Follower::open(&server, "", copy.last.as_deref()).ok();
    let mut again = until("the place is free", again);
    let through = change(&server, 1);
    copy.follow(&mut again, through);
    let row = &copy.graph[&uri(5)];
    assert_eq!((row.0, row.1.len()), (3, 5), "{row:?}");
}

#[test]
fn what_is_not_kept_cannot_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [TIGHT[0], TIGHT[3], TIGHT[5], ("SEGUE__CHANGES__BUFFER_EVENTS", "1")];
    let server = Server::start_with(folder.path(), &variables);
    let through = change(&server, 0);
    let mut copy = Copy::default();
    copy.follow(&mut Follower::open(&server, "?from=start", None).expect("a reader"), through);
    let old = copy.last.clone().unwrap();
    // While nothing happens, it is the present.
    assert!(Follower::open(&server, &format!("?last_event_id={old}"), None).is_ok());
    let mut steady = Follower::open(&server, "", Some(&old)).expect("a reader");
    for n in 1..4 {
        let through = change(&server, n);
        copy.follow(&mut steady, through);
    }
    assert_eq!(refused(&server, "", Some(&old)), code(410, "not_kept"));
    let (instance, number) = copy.last.as_deref().unwrap().split_once('-').unwrap();
    let future = format!("{instance}-{}", number.parse::<u64>().unwrap() + 1_000);
    assert_eq!(refused(&server, "", Some(&future)), code(410, "not_kept"));

    // After a restart the newest is of another run.
    drop(steady);
    assert_eq!(server.stop(), Some(0));
    let server = Server::start_with(folder.path(), &variables);
    assert_eq!(refused(&server, "?from=start", copy.last.as_deref()), code(410, "not_kept"));
    let through = change(&server, 4);
    let mut anew = Copy::default();
    anew.follow(&mut Follower::open(&server, "?from=start", None).expect("a reader"), through);
    assert_eq!(anew.graph.len(), 5);
}

#[test]
fn nothing_is_kept_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [TIGHT[0], TIGHT[3], TIGHT[5], ("SEGUE__CHANGES__IDLE_MS", "0")];
    let server = Server::start_with(folder.path(), &variables);
    let through = change(&server, 0);
    let mut copy = Copy::default();
    copy.follow(&mut Follower::open(&server, "?from=start", None).expect("a reader"), through);
    until("given up", || {
        let (status, problem) = Follower::open(&server, "", copy.last.as_deref()).err()?;
        assert_eq!((status, &problem["code"]), (410, &json!("not_kept")));
        Some(())
    });
    server.metric("segue_changes_buffer_bytes", "0");
    let made = server.counted("segue_changes_events_total");
    let through = (1..6).fold(0, |_, n| change(&server, n));
    // Whoever comes now is let in after those steps: they have been taken in by then.
    let mut anew = Copy::default();
    anew.follow(&mut Follower::open(&server, "?from=start", None).expect("a reader"), through);
    assert_eq!(anew.graph.len(), 6);
    assert_eq!(server.counted("segue_changes_events_total"), made);
}

/// Events that change many large rows.
fn large(n: u32) -> Value {
    json!([put("a", 0..200 + n % 2), put("b", n % 7..200), put("c", 0..200)])
}

#[test]
fn a_slow_reader_is_told_why_it_is_let_go_and_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let variables =
        [TIGHT[0], TIGHT[3], ("SEGUE__NEIGHBOURS__KEEP", "300"), ("SEGUE__CHANGES__BUFFER_BYTES", "8000000")];
    let server = Server::start_with(folder.path(), &variables);
    // It reads nothing before it is let go.
    let mut slow = Follower::open(&server, "?from=start", None).expect("a reader");
    let mut copy = Copy::default();
    let mut steady = Follower::open(&server, "?from=start", None).expect("a reader");
    let dropped = "segue_changes_dropped_readers_total{reason=\"too_slow\"}";
    let mut n = 0;
    until("it is let go", || {
        // Rows of all tracks come and go.
        server.events(&json!([delete("c")]));
        server.events(&large(n));
        let through = now(&server);
        copy.follow(&mut steady, through);
        n += 1;
        (server.counted(dropped) > 0).then_some(())
    });
    assert_eq!(server.counted(dropped), 1);
    server.metric("segue_changes_readers", "1");
    let said: Vec<_> = std::iter::from_fn(|| slow.next()).collect();
    let last = said.last().expect("some events");
    assert_eq!((&*last.name, &last.data["code"], &last.id), ("dropped", &json!("too_slow"), &None));
    assert!(last.data["detail"].as_str().unwrap().contains("from=start"));
    assert!(said.len() > 100, "{}", said.len());
    server.events(&large(n + 1));
    let through = now(&server);
    copy.follow(&mut steady, through);
    assert_eq!(copy.graph.len() as u32, 200 - (n + 1) % 7);
}

#[test]
fn readers_are_let_go_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    // Only that they are let go ends the wait.
    let variables = [TIGHT[0], TIGHT[3], ("SEGUE__SERVER__DRAIN_MS", "600000")];
    let server = Server::start_with(folder.path(), &variables);
    let through = change(&server, 0);
    let mut copy = Copy::default();
    let mut follower = Follower::open(&server, "?from=start", None).expect("a reader");
    copy.follow(&mut follower, through);
    let reading = std::thread::spawn(move || {
        let mut last = None;
        while let Some(event) = follower.next() {
            last = Some(event);
        }
        last.expect("a last word")
    });
    assert_eq!(server.stop(), Some(0));
    let last = reading.join().expect("no panic");
    assert_eq!((&*last.name, &last.data["code"]), ("dropped", &json!("stopping")));
}

#[test]
fn who_leaves_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = segue();
    command.stderr(std::fs::File::create(&log).unwrap());
    let server = Server::launch(command, folder.path(), &[]);
    until("ready", || (server.admin("/readyz").status == 200).then_some(()));
    for _ in 0..3 {
        let mut follower = Follower::open(&server, "?from=start", None).expect("a reader");
        assert_eq!(follower.next().expect("an event").name, "progress");
    }
    server.metric("segue_changes_readers", "0");
    let connect = || std::net::TcpStream::connect(server.api.strip_prefix("http://").unwrap()).unwrap();
    connect().write_all(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n[").unwrap();
    // That is another matter.
    let (mut odd, mut answer) = (connect(), String::new());
    odd.write_all(b"no request\r\n\r\n").unwrap();
    odd.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(server.stop(), Some(0));
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(
        said.lines().count() == 1 && said.contains("server connection error: hyper::Error(Parse("),
        "{said}"
    );
}

#[test]
fn while_nothing_changes_readers_are_told_that_they_are_connected() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("SEGUE__NEIGHBOURS__KEEP", "0"),
        ("SEGUE__CHANGES__CHARTS_MS", "3600000"),
        ("SEGUE__CHANGES__HEARTBEAT_MS", "100"),
    ];
    let server = Server::start_with(folder.path(), &variables);
    let mut follower = Follower::open(&server, "", None).expect("a reader");
    assert_eq!(follower.next().expect("an event").name, "progress");
    assert_eq!([0; 4].map(|_| follower.line()), [":\n", "\n", ":\n", "\n"]);
}
