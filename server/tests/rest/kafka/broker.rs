//! The broker stops and is killed while events flow: what was acknowledged is there, and the server goes on.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::{Topic, added, reached};
use crate::broker::Broker;
use crate::harness::{Server, until};
use crate::memory::Memory;
use crate::twin::Twin;

const CLIENTS: usize = 3;
/// Acknowledged events between two ends of the broker.
const BETWEEN: usize = 200;

#[test]
fn the_server_outlives_its_broker_and_loses_nothing() {
    let broker = Broker::start();
    let topic = Topic::on(&broker, "flow", 2);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &topic.variables());
    let (acknowledged, stop) = (Mutex::new(BTreeSet::new()), AtomicBool::new(false));
    let refused = AtomicUsize::new(0);
    let count = || acknowledged.lock().unwrap().len();
    let go_on = || {
        let before = count();
        until("events go on", || (count() >= before + BETWEEN).then_some(()));
    };
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (server, acknowledged, refused, stop) = (&server, &acknowledged, &refused, &stop);
            scope.spawn(move || {
                for n in (0_u32..).take_while(|_| !stop.load(Ordering::SeqCst)) {
                    let mut event =
                        added(&format!("p:{client}:{}", n % 7), &format!("t:{client}:{}", n / 3 * 3));
                    if n % 3 == 2 {
                        event["type"] = json!("track_removed");
                    }
                    event["n"] = json!(n);
                    let event = event.to_string();
                    let reply = server.try_post("/v1/events", "application/json", &event);
                    let reply = reply.expect("the server lives");
                    // What has no acknowledgement may be there or not; it is not sent again.
                    if reply.status == 202 {
                        acknowledged.lock().unwrap().insert(event);
                    } else {
                        assert_eq!(reply.status, 503, "{}", reply.body);
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            go_on();
            broker.kill();
            // As long as events wait for it: questions are answered, and memory stays as it is.
            let (mut memory, before) = (Memory::default(), refused.load(Ordering::SeqCst));
            until("every client is refused", || {
                server.state();
                memory.look(&server);
                (refused.load(Ordering::SeqCst) >= before + CLIENTS).then_some(())
            });
            memory.stayed();
            broker.restart();
            go_on();
            broker.stop();
            broker.restart();
            go_on();
        }));
        stop.store(true, Ordering::SeqCst);
        assert!(killed.is_ok());
    });
    let log = String::from_utf8(topic.consume("flow", "%s\n")).unwrap();
    let there: BTreeSet<&str> = log.lines().collect();
    let acknowledged = acknowledged.into_inner().unwrap();
    let missing: Vec<_> = acknowledged.iter().filter(|event| !there.contains(&***event)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
    let mut twin = Twin::default();
    log.lines().for_each(|event| twin.apply(event.as_bytes()));
    let state = reached(&server, log.lines().count() as u64);
    assert_eq!((&state["digest"], &state["entries"]), (&json!(twin.digest()), &json!(twin.entries())));
    assert_eq!(server.admin("/readyz").status, 200);
    // It ends when told to, whoever is away.
    broker.stop();
    assert_eq!(server.stop(), Some(0));
}
