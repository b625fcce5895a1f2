//! One real server a test: its own folder, free ports, stopped by its own process id.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(180);

pub fn segue() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segue"));
    command.stdin(Stdio::null());
    command
}

/// Asks again until there is an answer; lets others run in between.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "never came: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

pub struct Server {
    child: Ended,
    folder: PathBuf,
    pub api: String,
    pub admin: String,
    agent: ureq::Agent,
}

/// A status, the headers by name, the body.
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Value,
}

impl Server {
    /// Starts one on this folder and waits until it is ready.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    pub fn start_with(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let server = Self::launch(segue(), folder, variables);
        until("ready", || (server.admin("/readyz").status == 200).then_some(()));
        server
    }

    /// Starts one with this command and waits until it listens.
    pub fn launch(segue: Command, folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self::launch_with(segue, folder, variables, &["--port", "0"])
    }

    /// With these flags; one is the port.
    pub fn launch_with(
        mut segue: Command,
        folder: &Path,
        variables: &[(&str, &str)],
        flags: &[&str],
    ) -> Self {
        let ready = folder.join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let child = segue
            .arg("serve")
            .args(flags)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0")
            .env("SEGUE_LOG", "warn")
            .envs(variables.iter().copied())
            .spawn()
            .expect("the binary starts");
        let addresses =
            until("the ready file", || serde_json::from_slice::<Value>(&std::fs::read(&ready).ok()?).ok());
        let at = |name: &str| format!("http://{}", addresses[name].as_str().expect("an address"));
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let (api, admin) = (at("api"), at("admin"));
        Server { child: Ended(child), folder: folder.to_owned(), api, admin, agent: config.into() }
    }

    fn reply(response: ureq::http::Response<ureq::Body>) -> Reply {
        let (parts, mut body) = response.into_parts();
        let text = body.read_to_string().expect("text");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub fn admin(&self, path: &str) -> Reply {
        Self::reply(self.agent.get(format!("{}{path}", self.admin)).call().expect("an answer"))
    }

    /// Without a body.
    pub fn post_admin(&self, path: &str) -> Reply {
        Self::reply(self.agent.post(format!("{}{path}", self.admin)).send_empty().expect("an answer"))
    }

    pub fn get(&self, path: &str) -> Reply {
        Self::reply(self.agent.get(format!("{}{path}", self.api)).call().expect("an answer"))
    }

    pub fn post(&self, path: &str, kind: &str, body: impl ureq::AsSendBody) -> Reply {
        self.try_post(path, kind, body).expect("an answer")
    }

    /// None if the server is gone.
    pub fn try_post(&self, path: &str, kind: &str, body: impl ureq::AsSendBody) -> Option<Reply> {
        let request = self.agent.post(format!("{}{path}", self.api));
        let request = if kind.is_empty() { request } else { request.content_type(kind) };
        request.send(body).ok().map(Self::reply)
    }

    /// Sends events and waits until answers include them.
    pub fn events(&self, events: &Value) -> Reply {
        let reply = self.post("/v1/events", "application/json", events.to_string());
        assert_eq!(reply.status, 202, "{}", reply.body);
        self.visible(&reply);
        reply
    }

    pub fn visible(&self, reply: &Reply) {
        let token = reply.body["token"].as_str().expect("a token");
        let seen = self.get(&format!("/v1/tokens/{token}?wait_ms=30000"));
        assert_eq!(seen.body["visible"], true, "{}", seen.body);
    }

    pub fn state(&self) -> Value {
        let reply = self.get("/v1/state");
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    /// Waits until this metric has this value.
    pub fn metric(&self, name: &str, value: &str) {
        let line = format!("{name} {value}");
        until(&line, || self.admin("/metrics").body.as_str()?.lines().any(|l| l == line).then_some(()));
    }

    /// The value of a metric that counts; 0 if nothing was counted yet.
    pub fn counted(&self, name: &str) -> u64 {
        self.gauge(name).map_or(0, |value| value as u64)
    }

    /// The value of a metric; none if there is none yet.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        let value = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
        self.admin("/metrics").body.as_str()?.lines().find_map(value)
    }

    pub fn port(&self) -> u16 {
        self.api.rsplit(':').next().expect("a port").parse().expect("a number")
    }

    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(kill.expect("kill is there").success());
    }

    /// Waits for its end; tells the exit code.
    pub fn ended(mut self) -> Option<i32> {
        until("its end", || self.child.0.try_wait().expect("it can be waited for")).code()
    }

    /// SIGTERM; tells the exit code.
    pub fn stop(self) -> Option<i32> {
        self.signal("TERM");
        self.ended()
    }

    /// Starts it again on the same folder.
    pub fn again(mut self) -> Self {
        let _ = self.child.0.kill();
        let _ = self.child.0.wait();
        Self::start(&self.folder.clone())
    }
}

/// A process that ends with the test, whatever becomes of it.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
