//! `GET /v1/state` under constant events: its digest is that of the log up to its offsets, exactly.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Server, until};
use crate::twin::{Twin, log_of};

/// States that are looked at, from two clients at once, at least.
const STATES: usize = 300;
/// Events that come meanwhile, at least.
const EVENTS: u64 = 20;

fn next(state: &Value) -> u64 {
    state["offsets"]["0"].as_u64().unwrap()
}

#[test]
fn a_state_is_that_of_the_log_up_to_its_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("SEGUE__DATAFLOW__WORKERS", "3")]);
    let (states, enough) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..2 {
            let (server, enough) = (&server, &enough);
            scope.spawn(move || {
                for n in (0_u32..).take_while(|_| !enough.load(Ordering::SeqCst)) {
                    let kind = if n % 5 == 4 { "track_removed" } else { "track_added" };
                    let event = json!({"v": 1, "type": kind, "playlist": format!("p:{client}:{}", n % 11), "track": {"uri": format!("t:{}", n % 97)}, "at": "2024-05-01T12:00:00Z"});
                    assert_eq!(server.post("/v1/events", "application/json", event.to_string()).status, 202);
                }
            });
        }
        let asking: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut asked, first) = (0, next(&server.state()));
                    until("states enough, and events meanwhile", || {
                        let state = server.state();
                        let reached = next(&state);
                        states.lock().unwrap().push(state);
                        asked += 1;
                        (asked >= STATES / 2 && reached > first + EVENTS).then_some(())
                    });
                })
            })
            .collect();
        // Told to stop also if asking failed.
        let asked: Vec<_> = asking.into_iter().map(|asking| asking.join()).collect();
        enough.store(true, Ordering::SeqCst);
        assert!(asked.into_iter().all(|asked| asked.is_ok()));
    });
    assert_eq!(server.stop(), Some(0));

    let mut states = states.into_inner().unwrap();
    states.sort_by_key(next);
    let (log, mut twin, mut applied) = (log_of(folder.path()), Twin::default(), 0);
    for state in &states {
        let end = next(state) as usize;
        log[applied..end].iter().for_each(|event| twin.apply(event));
        applied = end;
        assert_eq!(
            (&state["digest"], &state["entries"]),
            (&json!(twin.digest()), &json!(twin.entries())),
            "{state}"
        );
    }
}
