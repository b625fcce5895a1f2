//! The process ends at any durable step: afterwards nothing that was acknowledged is missing, and the state is the
//! one that the log makes.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{Server, segue};
use crate::kafka::added;
use crate::twin::{Twin, log_of};

const STEPS: [&str; 9] = [
    "log::write",
    "log::written",
    "dead_letters::write",
    "dead_letters::written",
    "snapshot::object",
    "snapshot::manifest",
    "snapshot::done",
    "retention::manifest",
    "retention::object",
];

#[test]
fn the_old_state_or_the_new_at_every_step() {
    for (n, step) in STEPS.into_iter().enumerate() {
        for passed in [0, 3] {
            let folder = tempfile::tempdir().unwrap();
            let ends = format!("{step}={passed}*off->return");
            let often = ("SEGUE__SNAPSHOTS__EVERY", "20ms");
            let keep = ("SEGUE__SNAPSHOTS__KEEP", "2");
            // Whole ones only, or changes on top of them.
            let layers = ("SEGUE__SNAPSHOTS__LAYERS", ["1", "4"][n % 2]);
            let server =
                Server::launch(segue(), folder.path(), &[("FAILPOINTS", &*ends), often, keep, layers]);
            let mut acknowledged = BTreeSet::new();
            for event in (0_u32..).map(|n| added(&format!("p:{}", n % 5), &n.to_string())) {
                // Every batch has something to be refused.
                let batch = json!([event, {"v": 1, "type": "nonsense"}]).to_string();
                match server.try_post("/v1/events", "application/json", &batch) {
                    Some(reply) if reply.status == 202 => drop(acknowledged.insert(event.to_string())),
                    Some(reply) => panic!("{step}: {}", reply.body),
                    None => break,
                }
                assert!(acknowledged.len() < 100_000, "{step} is never reached");
            }
            assert_eq!(server.ended(), None, "{step}: ended by a signal");
            let log = log_of(folder.path());
            let there: BTreeSet<&str> = log.iter().map(|event| str::from_utf8(event).unwrap()).collect();
            let missing: Vec<_> = acknowledged.iter().filter(|event| !there.contains(&***event)).collect();
            assert!(missing.is_empty(), "{step} {passed}: acknowledged and gone: {missing:?}");
            assert!(log.len() <= acknowledged.len() + 1, "{step} {passed}");
            let mut twin = Twin::default();
            log.iter().for_each(|event| twin.apply(event));
            let server = Server::start_with(folder.path(), &[keep]);
            let state = server.state();
            assert_eq!(
                (&state["digest"], &state["entries"], &state["offsets"]["0"]),
                (&json!(twin.digest()), &json!(twin.entries()), &json!(log.len())),
                "{step} {passed}"
            );
            // The store goes on from whatever was left there.
            server.events(&json!([added("p:0", "last")]));
            assert_eq!(server.stop(), Some(0), "{step} {passed}");
            let verified =
                segue().args(["snapshot", "verify", "--data-dir"]).arg(folder.path().join("data")).output();
            let verified = verified.unwrap();
            let said = String::from_utf8_lossy(&verified.stdout);
            assert!(
                verified.status.success() && said.contains(&format!("{} entries", twin.entries() + 1)),
                "{said}"
            );
        }
    }
}

#[test]
fn a_claim_that_was_cut_off_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    for step in ["generation::claim=return", "generation::claimed=return"] {
        let mut serve = segue();
        serve.args(["serve", "--port", "0", "--data-dir"]).arg(folder.path().join("data"));
        serve.env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0").env("FAILPOINTS", step);
        assert_eq!(serve.output().unwrap().status.code(), None, "ended by a signal");
    }
    let server = Server::start(folder.path());
    server.events(&json!([added("p", "t")]));
    assert_eq!(server.stop(), Some(0));
    let generations = folder.path().join("data/snapshots/generations");
    let names: Vec<_> =
        std::fs::read_dir(generations).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["00000000000000000002.json"]);
}
