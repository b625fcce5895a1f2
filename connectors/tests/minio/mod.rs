//! A real MinIO for tests, as `scripts/services` starts it.

use std::path::{Path, PathBuf};
use std::process::Command;

use segue_connectors::snapshot::Settings;

/// A MinIO in a folder, with a bucket. It ends, and the folder goes, with this process.
pub struct Minio {
    folder: PathBuf,
    env: String,
}

fn services(arguments: &[&str], folder: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/services");
    let status = Command::new(script).args(arguments).arg(folder).status().expect("the script runs");
    assert!(status.success(), "{script} {arguments:?}");
}

impl Minio {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let until = std::process::id().to_string();
        services(&["up", "--only", "minio", "--until", &until], &folder);
        let env = std::fs::read_to_string(folder.join("services.env")).expect("written by the script");
        Minio { folder, env }
    }

    fn var(&self, name: &str) -> String {
        let line = self.env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name} in {}", self.env)).to_owned()
    }

    /// SIGKILL.
    #[allow(dead_code, reason = "not every test kills it")]
    pub fn kill(&self) {
        services(&["kill", "minio"], &self.folder);
    }

    /// On the same port, with the same data.
    #[allow(dead_code, reason = "not every test kills it")]
    pub fn restart(&self) {
        services(&["restart", "minio"], &self.folder);
    }

    /// A prefix of its own.
    pub fn settings(&self, prefix: &str) -> Settings {
        let names = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ALLOW_HTTP"];
        let options = names.map(|name| (name.to_ascii_lowercase(), self.var(name))).into();
        Settings { url: format!("s3://{}/{prefix}", self.var("MINIO_BUCKET")), options }
    }
}
