//! A real broker for tests, as `scripts/services` starts it.

use std::path::{Path, PathBuf};
use std::process::Command;

use segue_connectors::kafka::{Settings, topics};

/// A broker in a folder. It ends, and the folder goes, with this process.
pub struct Broker {
    folder: PathBuf,
    pub address: String,
}

fn services(arguments: &[&str], folder: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/services");
    let status = Command::new(script).args(arguments).arg(folder).status().expect("the script runs");
    assert!(status.success(), "{script} {arguments:?}");
}

impl Broker {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let until = std::process::id().to_string();
        services(&["up", "--only", "kafka", "--until", &until], &folder);
        let env = std::fs::read_to_string(folder.join("services.env")).expect("written by the script");
        let address = env.lines().find_map(|line| line.strip_prefix("KAFKA_BROKERS=")).expect("a broker");
        Broker { address: address.to_owned(), folder }
    }

    /// SIGKILL.
    #[allow(dead_code, reason = "not every test kills it")]
    pub fn kill(&self) {
        services(&["kill", "kafka"], &self.folder);
    }

    /// An orderly end.
    #[allow(dead_code, reason = "not every test stops it")]
    pub fn stop(&self) {
        services(&["down"], &self.folder);
    }

    /// On the same port, with the same data.
    #[allow(dead_code, reason = "not every test kills it")]
    pub fn restart(&self) {
        services(&["restart", "kafka"], &self.folder);
    }

    pub fn settings(&self, topic: &str) -> Settings {
        Settings { brokers: self.address.clone(), topic: topic.to_owned(), ..Settings::default() }
    }

    /// A new topic.
    #[allow(dead_code, reason = "some tests leave that to what they test")]
    pub fn topic(&self, topic: &str, partitions: u32) -> Settings {
        let settings = self.settings(topic);
        assert!(topics::create(&settings, topic, partitions).expect("a broker"), "{topic} was there before");
        settings
    }
}
