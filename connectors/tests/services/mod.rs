//! One real service for tests, as `scripts/services` starts it.

use std::path::PathBuf;
use std::process::Command;

/// A service in a folder. It ends, and the folder goes, with this process.
pub struct Service {
    name: &'static str,
    folder: PathBuf,
    env: String,
}

impl Service {
    pub fn start(name: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let mut service = Service { name, folder, env: String::new() };
        service.script(&["up", "--only", name, "--until", &std::process::id().to_string()]);
        service.env =
            std::fs::read_to_string(service.folder.join("services.env")).expect("written by the script");
        service
    }

    fn script(&self, arguments: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/services");
        let status = Command::new(script).args(arguments).arg(&self.folder).status();
        assert!(status.expect("the script runs").success(), "{script} {arguments:?}");
    }

    /// What the script says of it.
    pub fn var(&self, name: &str) -> String {
        let line = self.env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name} in {}", self.env)).to_owned()
    }

    /// SIGKILL.
    #[allow(dead_code, reason = "not every test kills it")]
    pub fn kill(&self) {
        self.script(&["kill", self.name]);
    }

    /// Sends its process this signal.
    #[allow(dead_code, reason = "not every test stops it")]
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.join(self.name).join("pid")).expect("it runs");
        let pid = pid.split_whitespace().next().expect("a number");
        assert!(Command::new("kill").args(["-s", name, pid]).status().expect("kill is there").success());
    }

    /// An orderly end.
    #[allow(dead_code, reason = "not every test stops it")]
    pub fn stop(&self) {
        self.script(&["down"]);
    }

    /// On the same port, with the same data.
    #[allow(dead_code, reason = "not every test kills it")]
    pub fn restart(&self) {
        self.script(&["restart", self.name]);
    }
}
