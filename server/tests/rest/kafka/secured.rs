//! A broker with TLS and passwords: who has both, as the README says, is let in; who has not is told which it is.

#[path = "../../../../connectors/tests/services/mod.rs"]
mod services;

use std::process::Stdio;

use serde_json::json;

use super::added;
use crate::harness::{Server, segue, until};
use services::Service;

const README: &str = include_str!("../../../../README.md");
const PASSWORD: &str = "SEGUE__KAFKA__PROPERTIES__SASL__PASSWORD";

/// What a user has in a file, and the password.
struct Access {
    file: String,
    password: String,
}

impl Access {
    /// As flags of `segue replay`.
    fn flags(&self) -> Vec<String> {
        let properties = self.file.split("[kafka.properties]").nth(1).unwrap_or_default().lines();
        let properties = properties.filter_map(|line| line.split(" #").next()?.split_once(" = "));
        let properties = properties.map(|(name, value)| format!("{name}={}", value.trim().trim_matches('"')));
        let password = format!("sasl.password={}", self.password);
        properties.chain([password]).flat_map(|one| ["--kafka-property".to_owned(), one]).collect()
    }
}

#[test]
fn who_knows_certificate_and_password_is_let_in_and_others_are_told_which_it_is() {
    let broker = Service::start("kafka_tls");
    let [brokers, ca, password] =
        ["BROKERS", "CA", "PASSWORD"].map(|it| broker.var(&format!("KAFKA_TLS_{it}")));
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let events: String = (0..3).map(|n| format!("{}\n", added("p", &format!("t{n}")))).collect();
    std::fs::write(at("events.ndjson"), events).unwrap();
    let shown = README.split("```toml\n").find(|block| block.starts_with("[kafka]")).unwrap();
    let whole = shown.split("```").next().unwrap();
    let whole = whole.replace("broker:9093", &brokers).replace("/etc/ssl/broker-ca.pem", &ca);
    let access = Access { file: whole.clone(), password: password.clone() };
    let replay = |access: &Access| {
        let mut replay = segue();
        replay.args(["replay", &at("events.ndjson"), "--to", &format!("kafka://{brokers}/segue.events")]);
        replay.args(["--create-topic", "--partitions", "1"]).args(access.flags());
        replay
    };
    let done = replay(&access).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    std::fs::write(at("segue.toml"), &access.file).unwrap();
    let flags = ["--port", "0", "--config", &at("segue.toml")];
    let server = Server::launch_with(segue(), folder.path(), &[(PASSWORD, &password)], &flags);
    until("ready", || (server.admin("/readyz").status == 200).then_some(()));
    server.events(&json!([added("p", "t3"), added("q", "t0")]));
    let state = server.state();
    assert_eq!((&state["playlists"], &state["entries"]), (&json!(2), &json!(5)));
    assert_eq!(server.stop(), Some(0));

    let without = |part: &str| {
        whole.lines().filter(|line| !line.contains(part)).map(|line| format!("{line}\n")).collect()
    };
    let cases: [(&str, String, &str, &str); 2] = [
        ("password", whole.clone(), "hunter2", "Invalid username or password"),
        (
            "authority",
            without("ssl.ca.location"),
            &password,
            "verify that ssl.ca.location is correctly configured",
        ),
    ];
    // All at once: each is patient with the broker.
    let mut running = Vec::new();
    for (name, file, password, why) in cases {
        let (access, config) = (Access { file, password: password.to_owned() }, at(&format!("{name}.toml")));
        std::fs::write(&config, &access.file).unwrap();
        let mut serve = segue();
        serve.args(["serve", "--port", "0", "--config", &config, "--data-dir", &at(name)]);
        serve.env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0").env(PASSWORD, password);
        for (what, mut command) in [("replay", replay(&access)), ("serve", serve)] {
            running.push((what, name, why, command.stderr(Stdio::piped()).spawn().unwrap()));
        }
    }
    for (what, name, why, child) in running {
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{what} without {name}: {said}");
        let last = said.lines().last().unwrap();
        let begins = format!("segue: kafka://{brokers}/segue.events: no answer from Kafka: ");
        assert!(last.starts_with(&begins) && last.contains(why), "{what} without {name}: {last}");
        assert!(!said.contains(&password) && !said.contains("hunter2"), "{said}");
    }
}
