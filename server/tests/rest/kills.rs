//! kill -9 at random moments of a replay, with a snapshot each second: every round ends with the digest of a run
//! that nobody disturbed. To HTTP and to Kafka, from snapshots in a folder and in MinIO.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::harness::{Ended, Server, segue, until};
use crate::kafka::Topic;
use crate::minio::Minio;

/// In CI; the soak run does ten times as many.
const ROUNDS: u32 = 20;
/// Rounds at a time: they wait most of the time.
const AT_ONCE: usize = 4;
/// In each round.
const KILLS: u32 = 2;
/// So long a replay takes, about: a few snapshots.
const SECONDS: u64 = 3;

/// Made-up slices and edits of them, and what they lead to.
pub struct Data {
    pub folder: tempfile::TempDir,
    pub events: u64,
    pub digest: String,
}

static DATA: LazyLock<Data> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let mut generate = segue();
    generate.args(["generate", "--playlists", "150", "--events", "3000", "--out"]).arg(folder.path());
    assert!(generate.stderr(Stdio::null()).status().unwrap().success());
    let undisturbed = tempfile::tempdir().unwrap();
    let server = Server::start(undisturbed.path());
    let mut replay = segue();
    replay.arg("replay").arg(folder.path()).args(["--to", &server.api, "--json"]).stderr(Stdio::null());
    let done = replay.output().unwrap();
    assert!(done.status.success());
    let state = server.state();
    let events = state["offsets"]["0"].as_u64().unwrap();
    assert!(events > 5_000, "{state}");
    Data { folder, events, digest: state["digest"].as_str().unwrap().to_owned() }
});

impl Data {
    pub fn get() -> &'static Data {
        &DATA
    }
}

/// What an interrupted replay says.
pub fn from_offset(said: &str) -> Option<u64> {
    let rest = said.rsplit_once("go on with --from-offset ")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A server that is killed now and then, on the same port each time.
struct Killed<'a> {
    folder: &'a Path,
    variables: Vec<(&'a str, &'a str)>,
    server: Option<Server>,
}

impl Killed<'_> {
    fn start(&mut self) {
        let port = self.server.take().map_or(0, |server| server.port());
        let mut command = segue();
        let said = File::options().create(true).append(true).open(self.folder.join("said"));
        command.stderr(said.unwrap());
        let flags = ["--port", &port.to_string()];
        self.server = Some(Server::launch_with(command, self.folder, &self.variables, &flags));
    }

    fn kill(&mut self) {
        self.running().signal("KILL");
    }

    fn running(&self) -> &Server {
        self.server.as_ref().expect("it was started")
    }

    /// Records that are in its answers; none before it answers.
    fn next(&self) -> Option<u64> {
        let state = self.running().get("/v1/state").body;
        Some(state["offsets"].as_object()?.values().filter_map(Value::as_u64).sum())
    }
}

/// A replay that goes on by itself, or is stopped and started again with what it says.
struct Replay {
    to: String,
    said: std::path::PathBuf,
    running: Option<Ended>,
}

impl Replay {
    fn start(&mut self, from: u64) {
        let rate = (DATA.events / SECONDS).to_string();
        let mut replay = segue();
        replay.arg("replay").arg(DATA.folder.path()).args(["--to", &self.to, "--rate", &rate]);
        replay.args(["--from-offset", &from.to_string()]);
        replay.stderr(File::create(&self.said).unwrap());
        self.running = Some(Ended(replay.spawn().unwrap()));
    }

    fn ended(&mut self) -> bool {
        let replay = &mut self.running.as_mut().expect("it was started").0;
        until("the end of the replay", || replay.try_wait().unwrap()).success()
    }

    /// SIGINT, and again from where it says.
    fn stop_and_go_on(&mut self) {
        let id = self.running.as_ref().expect("it was started").0.id().to_string();
        let kill = std::process::Command::new("kill").args(["-s", "INT", &id]).stderr(Stdio::null()).status();
        // It may have come to its end just before.
        kill.expect("kill is there");
        if !self.ended() {
            let said = std::fs::read_to_string(&self.said).unwrap();
            self.start(from_offset(&said).unwrap_or_else(|| panic!("{said}")));
        }
    }
}

/// Tells how often the server went on from a snapshot.
fn round(n: u32, minio: &Minio) -> usize {
    let (folder, mut rng) = (tempfile::tempdir().unwrap(), ChaCha8Rng::seed_from_u64(n.into()));
    let settings = minio.settings(&format!("killed/{n}"));
    let options: Vec<(String, &String)> =
        settings.options.iter().map(|(name, value)| (name.to_ascii_uppercase(), value)).collect();
    let mut variables = vec![("SEGUE__SNAPSHOTS__EVERY", "1s"), ("SEGUE_LOG", "info")];
    // All four pairs of log and store come equally often.
    if n % 4 < 2 {
        variables.extend(options.iter().map(|(name, value)| (&**name, value.as_str())));
        variables.push(("SEGUE__SNAPSHOTS__URL", &settings.url));
    }
    // On Kafka the replay does not notice that the server is gone.
    let topic = (n % 2 == 1).then(|| Topic::new(format!("killed-{n}").leak(), 2));
    variables.extend(topic.iter().flat_map(Topic::variables));
    let mut killed = Killed { folder: folder.path(), variables, server: None };
    killed.start();
    let to = match &topic {
        None => killed.running().api.clone(),
        Some(topic) => topic.url(),
    };
    let mut replay = Replay { to, said: folder.path().join("replay"), running: None };
    replay.start(0);
    let mut moments: Vec<u64> = (0..KILLS).map(|_| rng.random_range(1..DATA.events)).collect();
    moments.sort_unstable();
    for (kill, moment) in moments.into_iter().enumerate() {
        until("the moment", || (killed.next()? >= moment).then_some(()));
        killed.kill();
        if (n as usize + kill).is_multiple_of(3) {
            replay.stop_and_go_on();
        }
        killed.start();
    }
    assert!(replay.ended(), "round {n}: {}", std::fs::read_to_string(&replay.said).unwrap());
    // Some events came twice.
    until("all events", || (killed.next()? >= DATA.events).then_some(()));
    let state = until("the state", || {
        let state = killed.running().state();
        (state["digest"] == json!(DATA.digest)).then_some(state)
    });
    assert_eq!(killed.running().admin("/readyz").status, 200, "round {n}: {state}");
    // Once more, from a snapshot that has all or nearly all of it.
    killed.kill();
    killed.start();
    until("all events", || (killed.next()? >= DATA.events).then_some(()));
    until("ready", || (killed.running().admin("/readyz").status == 200).then_some(()));
    assert_eq!(killed.running().state()["digest"], json!(DATA.digest), "round {n}");
    let said = std::fs::read_to_string(folder.path().join("said")).unwrap();
    said.matches("going on from a snapshot").count()
}

#[test]
fn a_replay_through_kills_ends_with_the_digest_of_one_that_nobody_disturbed() {
    let rounds = if std::env::var_os("SEGUE_SOAK").is_some() { 10 * ROUNDS } else { ROUNDS };
    let (minio, next, from_snapshot) = (Minio::start(), AtomicU32::new(0), AtomicU32::new(0));
    assert!(!DATA.digest.is_empty());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(n) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|n| *n < rounds) {
                    from_snapshot.fetch_add(round(n, &minio) as u32, Ordering::SeqCst);
                }
            });
        }
    });
    let from_snapshot = from_snapshot.into_inner();
    // The first kill may come before the first snapshot, the last never.
    assert!(from_snapshot >= rounds, "{from_snapshot} starts from a snapshot in {rounds} rounds");
}
