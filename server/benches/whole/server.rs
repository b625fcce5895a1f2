//! The real server, watched from outside: memory, idle, and how soon events are visible.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use segue_replay::generate::Edits;
use serde_json::Value;

use crate::asker::until;
use crate::corpus::{Corpus, SEED};
use crate::table::{Table, ms, quantile};

const PATIENCE: Duration = Duration::from_secs(1_800);
const EVENTS_PER_S: f64 = 2_000.0;
/// Events of one measurement.
pub const EVENTS: u64 = 40_000;
/// One event in so many is waited for.
const WATCHED: u64 = 10;
/// Clients that post, so that none waits for another's fsync.
const CLIENTS: usize = 32;

/// The binary, on a folder.
pub struct Server {
    child: Child,
    api: String,
    admin: String,
    agent: ureq::Agent,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either may fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts it with these variables, and waits until it is ready.
    pub fn start(folder: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        let ready = folder.join("ready.json");
        if ready.exists() {
            std::fs::remove_file(&ready)?;
        }
        let child = Command::new(env!("CARGO_BIN_EXE_segue"))
            .args(["serve", "--port", "0", "--data-dir"])
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0")
            .envs(variables.iter().copied())
            .env("SEGUE_LOG", "warn")
            .stdin(Stdio::null())
            .spawn()?;
        let addresses: Value = patiently("the server's addresses", || {
            Ok(std::fs::read(&ready).ok().and_then(|text| serde_json::from_slice(&text).ok()))
        })?;
        let at = |name: &str| format!("http://{}", addresses[name].as_str().unwrap_or_default());
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(2 * CLIENTS)
            .max_idle_connections_per_host(2 * CLIENTS)
            .build();
        let server = Server { child, api: at("api"), admin: at("admin"), agent: agent.into() };
        patiently("readiness", || {
            let status = server.agent.get(format!("{}/readyz", server.admin)).call()?.status();
            Ok((status == 200).then_some(()))
        })?;
        Ok(server)
    }

    /// What it answers to GET.
    pub fn json(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(
            &self.agent.get(format!("{}{path}", self.api)).call()?.body_mut().read_to_string()?,
        )?)
    }

    /// Posts an event, which changes something every time.
    pub fn event(&self) -> anyhow::Result<()> {
        let track = format!("bench:{}", self.child.id());
        let event = serde_json::json!({"v": 1, "type": "track_added", "playlist": "bench", "track": {"uri": track}, "at": "2026-01-01T00:00:00Z"});
        let url = format!("{}/v1/events", self.api);
        let mut answer = self.agent.post(url).content_type("application/json").send(event.to_string())?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        let token = answer["token"].as_str().context("a token")?;
        self.json(&format!("/v1/tokens/{token}?wait_ms=30000")).map(drop)
    }

    /// Has it take a snapshot; what it says of it.
    pub fn take_snapshot(&self) -> anyhow::Result<Value> {
        let mut answer = self.agent.post(format!("{}/snapshots", self.admin)).send_empty()?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    }

    /// Waits until the graph has all that answers have now.
    pub fn graph(&self) -> anyhow::Result<()> {
        let as_of = self.json("/v1/state")?["as_of"]["epoch"].as_f64().context("an epoch")?;
        patiently("the graph", || {
            let metrics =
                self.agent.get(format!("{}/metrics", self.admin)).call()?.body_mut().read_to_string()?;
            let epoch =
                metrics.lines().find_map(|line| line.strip_prefix("segue_graph_epoch ")?.parse::<f64>().ok());
            Ok(epoch.filter(|epoch| *epoch >= as_of).map(drop))
        })
    }

    /// Processor seconds used so far.
    fn processor_s(&self) -> anyhow::Result<f64> {
        Ok(processor_s(&std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?))
    }

    /// The value of a metric without labels; 0 if there is none yet.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let metrics =
            self.agent.get(format!("{}/metrics", self.admin)).call()?.body_mut().read_to_string()?;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        Ok(metrics.lines().find_map(value).unwrap_or(0.0))
    }

    /// Sends it a corpus.
    pub fn replay(&self, corpus: &Corpus) -> anyhow::Result<()> {
        replay(corpus, &self.api, &[])
    }

    /// Its resident memory.
    pub fn resident_bytes(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.split_whitespace().next().context("kB")?.parse::<f64>()? * 1024.0)
    }

    /// Share of a core that it uses for so long.
    fn processor(&self, during: Duration) -> anyhow::Result<f64> {
        let (before, began) = (self.processor_s()?, Instant::now());
        until(began + during);
        Ok((self.processor_s()? - before) / began.elapsed().as_secs_f64())
    }
}

/// Processor seconds of a process or thread, from its line in /proc.
pub fn processor_s(stat: &str) -> f64 {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// Looks until there is something.
pub fn patiently<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(found) = look()? {
            return Ok(found);
        }
        until(Instant::now() + Duration::from_millis(10));
    }
    anyhow::bail!("never came: {what}")
}

/// Sends a corpus to a server or broker.
pub fn replay(corpus: &Corpus, to: &str, options: &[&str]) -> anyhow::Result<()> {
    let replayed = Command::new(env!("CARGO_BIN_EXE_segue"))
        .args(["replay", "--to", to])
        .args(options)
        .arg(corpus.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    anyhow::ensure!(replayed.success(), "segue replay failed");
    Ok(())
}

/// Snapshots have rows of their own.
const NONE_TAKEN: (&str, &str) = ("SEGUE__SNAPSHOTS__URL", "off");

/// A server on a new folder that has all of a corpus. It counts neighbours on demand.
pub fn replayed(corpus: &Corpus, folder: &Path, table: &mut Table) -> anyhow::Result<Server> {
    let server = Server::start(folder, &[NONE_TAKEN, ("SEGUE__NEIGHBOURS__KEEP", "0")])?;
    let began = Instant::now();
    server.replay(corpus)?;
    table.seconds("replay over HTTP, onto the log on disk, visible", began.elapsed().as_secs_f64());
    Ok(server)
}

/// Waits for the last merges, and for freed memory to go back.
pub fn settled() {
    until(Instant::now() + Duration::from_secs(15));
}

pub fn measure(corpus: &Corpus, server: Server, folder: &Path, table: &mut Table) -> anyhow::Result<()> {
    let state = server.json("/v1/state")?;
    let entries = state["entries"].as_f64().context("entries")?;
    table.row("", format!("{entries} entries, {} tracks", state["tracks"]), "", "");
    settled();
    let bytes = |bytes: f64| format!("{bytes:.1} B");
    let what = "resident memory, with names, neighbours on demand, an entry";
    table.bound(what, server.resident_bytes()? / entries, 60.0, bytes);
    drop(server);
    let began = Instant::now();
    let server = Server::start(folder, &[NONE_TAKEN])?;
    server.json("/v1/playlists/mpd:playlist:0/recommendations")?;
    table.seconds("start to first answer, from the log's beginning", began.elapsed().as_secs_f64());
    server.graph()?;
    settled();
    table.bound("idle, share of a core", server.processor(Duration::from_secs(20))? * 100.0, 1.0, |share| {
        format!("{share:.2} %")
    });
    table.row("resident memory with the graph", bytes(server.resident_bytes()? / entries), "", "");
    visible((corpus, 0), &server, "event sent → visible, fsync", 0.025, table)?;
    drop(server);
    let server = Server::start(folder, &[NONE_TAKEN, ("SEGUE__SERVER__FSYNC", "false")])?;
    server.graph()?;
    // Later ones: those would change nothing again.
    visible((corpus, EVENTS), &server, "event sent → visible, no fsync", 0.025, table)
}

/// How soon events were visible.
pub struct Seen {
    /// Of some events, how long it took.
    pub seconds: Vec<f64>,
    /// How long all events took to come through, in seconds.
    pub took: f64,
    /// Share of a core that the server used meanwhile.
    pub processor: f64,
}

impl Server {
    /// Posts single events at the rate, after so many others; of some, how long it takes from the moment they are due
    /// until the server says that answers include them.
    pub fn seen(&self, corpus: &Corpus, after: u64) -> anyhow::Result<Seen> {
        let events = Edits::new(SEED, corpus.playlists).skip(after as usize).take(EVENTS as usize);
        let bodies: Vec<String> = events.map(|event| event.to_json()).collect();
        let (next, seen) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        let (before, began) = (self.processor_s()?, Instant::now() + Duration::from_millis(100));
        std::thread::scope(|scope| {
            let client = || -> anyhow::Result<()> {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    let Some(body) = bodies.get(nth as usize) else { return Ok(()) };
                    let due = began + Duration::from_secs_f64(nth as f64 / EVENTS_PER_S);
                    until(due);
                    let url = format!("{}/v1/events", self.api);
                    let mut answer = self.agent.post(url).content_type("application/json").send(body)?;
                    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
                    let token = answer["token"].as_str().context("a token")?;
                    if nth.is_multiple_of(WATCHED) {
                        let answer = self.json(&format!("/v1/tokens/{token}?wait_ms=30000"))?;
                        anyhow::ensure!(answer["visible"] == true, "not visible: {answer}");
                        seen.lock().map_err(|e| anyhow::anyhow!("{e}"))?.push(due.elapsed().as_secs_f64());
                    }
                }
            };
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
            clients
                .into_iter()
                .try_for_each(|client| client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        let took = began.elapsed().as_secs_f64();
        let processor = (self.processor_s()? - before) / took;
        let seconds = seen.into_inner().map_err(|e| anyhow::anyhow!("{e}"))?;
        Ok(Seen { seconds, took, processor })
    }
}

/// Posts events, those that come after so many others, and says how soon they were visible.
pub fn visible(
    (corpus, after): (&Corpus, u64),
    server: &Server,
    what: &str,
    seconds_max: f64,
    table: &mut Table,
) -> anyhow::Result<()> {
    let Seen { seconds, took, processor } = server.seen(corpus, after)?;
    table.bound(
        &format!("{what}, p99 at {EVENTS_PER_S}/s over HTTP"),
        quantile(&seconds, 0.99),
        seconds_max,
        ms,
    );
    table.note(&format!(
        "p50 {}, p90 {}; {:.0} events/s came through; {:.0} % of a core",
        ms(quantile(&seconds, 0.5)),
        ms(quantile(&seconds, 0.9)),
        EVENTS as f64 / took,
        processor * 100.0,
    ));
    Ok(())
}
