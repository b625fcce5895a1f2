//! The process ends at any durable step, with log, dead letters and snapshots here, on Kafka and in MinIO: afterwards
//! nothing that was acknowledged is missing, and the state is the one that the log makes.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use crate::away::Place;
use crate::harness::{Server, segue, until};
use crate::kafka::{Topic, added, reached};
use crate::minio::Minio;
use crate::twin::{Twin, log_of};

const LOG: [&str; 4] = ["log::write", "log::written", "dead_letters::write", "dead_letters::written"];
const SNAPSHOTS: [&str; 6] = [
    "snapshot::object",
    "snapshot::image",
    "snapshot::manifest",
    "snapshot::done",
    "retention::manifest",
    "retention::object",
];

/// So often a step is passed before the process ends at it.
const PASSED: [u32; 2] = [0, 3];

const OFTEN: (&str, &str) = ("SEGUE__SNAPSHOTS__EVERY", "20ms");
const KEEP: (&str, &str) = ("SEGUE__SNAPSHOTS__KEEP", "2");
const IMAGES: (&str, &str) = ("SEGUE__SNAPSHOTS__WARM_IMAGE", "true");

/// A server with these variables ends at a step; `log_of` reads its log then.
fn ends_at(step: &str, passed: u32, variables: &[(&str, &str)], log_of: impl Fn(&Path) -> Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let ends = format!("{step}={passed}*off->return");
    let server = Server::launch(segue(), folder.path(), &[variables, &[("FAILPOINTS", &*ends)]].concat());
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
    let server = Server::start_with(folder.path(), variables);
    let state = server.state();
    assert_eq!(
        (&state["digest"], &state["entries"], &state["offsets"]["0"]),
        (&json!(twin.digest()), &json!(twin.entries()), &json!(log.len())),
        "{step} {passed}"
    );
    let letters = acknowledged.len() as u64..=acknowledged.len() as u64 + 1;
    assert!(letters.contains(&state["dead_letters"].as_u64().unwrap()), "{step} {passed}: {state}");
    // The store goes on from whatever was left there.
    server.events(&json!([added("p:0", "last")]));
    assert_eq!(server.stop(), Some(0), "{step} {passed}");
    let mut verify = segue();
    verify.args(["snapshot", "verify", "--data-dir"]).arg(folder.path().join("data"));
    let verified = verify.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stdout);
    let entries = format!("{} entries", twin.entries() + 1);
    assert!(verified.status.success() && said.contains(&entries), "{step} {passed}: {said} {verified:?}");
}

/// Whole snapshots only, or changes on top of them.
fn layers(n: usize) -> (&'static str, &'static str) {
    ("SEGUE__SNAPSHOTS__LAYERS", ["1", "4"][n % 2])
}

#[test]
fn the_old_state_or_the_new_at_every_step() {
    for (n, step) in LOG.into_iter().chain(SNAPSHOTS).enumerate() {
        let images: &[_] = if step == "snapshot::image" { &[IMAGES] } else { &[] };
        let variables = [&[OFTEN, KEEP, layers(n)][..], images].concat();
        PASSED.into_iter().for_each(|passed| ends_at(step, passed, &variables, log_of));
    }
}

#[test]
fn the_old_state_or_the_new_at_every_step_of_a_snapshot_in_minio() {
    let minio = Minio::start();
    for (n, step) in SNAPSHOTS.into_iter().enumerate() {
        for passed in PASSED {
            let place = Place::of(&minio, &format!("{n}/{passed}"), OFTEN.1);
            let variables = [&place.variables()[..], &[KEEP, IMAGES, layers(n)]].concat();
            ends_at(step, passed, &variables, log_of);
        }
    }
}

#[test]
fn the_old_state_or_the_new_at_every_step_on_kafka() {
    for (n, step) in LOG.into_iter().enumerate() {
        for passed in PASSED {
            let topic = Topic::new(format!("step-{n}-{passed}").leak(), 1);
            let variables = [&topic.variables()[..], &[OFTEN, KEEP, layers(n)]].concat();
            ends_at(step, passed, &variables, |_| topic.events());
        }
    }
}

#[test]
fn a_record_of_a_topic_that_is_no_event_has_one_letter_whenever_the_process_ends() {
    for step in ["dead_letters::write", "dead_letters::written"] {
        let topic = Topic::new(format!("one-letter-{}", step.replace("::", "-")).leak(), 1);
        let folder = tempfile::tempdir().unwrap();
        let ends = format!("{step}=2*off->return");
        let variables = [&topic.variables()[..], &[("FAILPOINTS", &*ends)]].concat();
        let server = Server::start_with(folder.path(), &variables);
        // One delivery each.
        for n in 0..2_u64 {
            topic.produce(format!("p\tno event {n}\n").as_bytes(), &[]);
            until("its letter", || (server.state()["dead_letters"] == n + 1).then_some(()));
        }
        topic.produce(b"p\tno event 2\np\tno event 3\n", &[]);
        assert_eq!(server.ended(), None, "{step}: ended by a signal");
        let server = Server::start_with(folder.path(), &topic.variables());
        assert_eq!(reached(&server, 4)["dead_letters"], 4, "{step}");
        let letters = String::from_utf8(topic.consume(&topic.dead_letters(), "%s\n")).unwrap();
        assert_eq!(letters, "no event 0\nno event 1\nno event 2\nno event 3\n", "{step}");
    }
}

/// A claim ends at either step, twice, and then goes well.
fn claimed_again(folder: &Path, variables: &[(&str, &str)]) {
    for step in ["generation::claim=return", "generation::claimed=return"] {
        let mut serve = segue();
        serve.args(["serve", "--port", "0", "--data-dir"]).arg(folder.join("data"));
        serve.env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0").env("FAILPOINTS", step);
        serve.envs(variables.iter().copied());
        assert_eq!(serve.output().unwrap().status.code(), None, "ended by a signal");
    }
    let server = Server::start_with(folder, variables);
    server.events(&json!([added("p", "t")]));
    // The first claimed nothing.
    assert_eq!(server.post_admin("/snapshots").body["generation"], 2);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_claim_that_was_cut_off_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    claimed_again(folder.path(), &[]);
    let generations = folder.path().join("data/snapshots/generations");
    let names: Vec<_> =
        std::fs::read_dir(generations).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["00000000000000000002.json"]);
    let (minio, folder) = (Minio::start(), tempfile::tempdir().unwrap());
    claimed_again(folder.path(), &Place::of(&minio, "claims", "24h").variables());
}
