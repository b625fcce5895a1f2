//! A store of snapshots that is away, refuses, hangs or is another's: it is missed but not needed, it is told, and
//! snapshots catch up; of one epoch there is one manifest.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::front::{Front, Mood};
use crate::harness::{Server, segue, until};
use crate::kafka::{Topic, reached};
use crate::memory::Memory;
use crate::minio::Minio;
use crate::snapshots::{same, started, text, tracks};

const FAILED: &str = "segue_snapshots_total{result=\"failed\"}";

/// A prefix in a MinIO, and what tells the server of it.
pub struct Place {
    names: Vec<(String, String)>,
}

impl Place {
    pub fn of(minio: &Minio, prefix: &str, every: &str) -> Self {
        let settings = minio.settings(prefix);
        let names = settings.options.into_iter().map(|(name, value)| (name.to_ascii_uppercase(), value));
        let own = [("URL", &*settings.url), ("EVERY", every), ("RETRY", "500ms")];
        let own = own.map(|(name, value)| (format!("SEGUE__SNAPSHOTS__{name}"), value.to_owned()));
        Place { names: names.chain(own).collect() }
    }

    /// Through this front.
    fn through(mut self, front: &Front) -> Self {
        self.names.push(("AWS_ENDPOINT_URL".to_owned(), front.url.clone()));
        self
    }

    pub fn variables(&self) -> Vec<(&str, &str)> {
        self.names.iter().map(|(name, value)| (&**name, &**value)).collect()
    }
}

/// What readiness says is the matter with snapshots.
fn degraded(server: &Server) -> Option<String> {
    let ready = server.admin("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.body);
    ready.body["checks"]["snapshots"].as_str().map(str::to_owned)
}

/// Waits until the newest snapshot is the state, and nothing is the matter.
fn caught_up(server: &Server) {
    let state = server.state();
    let newest = || server.admin("/snapshots").body[0]["digest"].clone();
    until("it has caught up", || (newest() == state["digest"]).then_some(()));
    until("it says so", || degraded(server).is_none().then_some(()));
}

/// Sends events, which are visible, until so many attempts at a snapshot have failed, and for so long. As much goes
/// as comes, and memory stays as it is.
fn missing(server: &Server, next: &mut u32, attempts: u64, long: Duration) -> String {
    let (begun, before) = (Instant::now(), server.counted(FAILED));
    let mut memory = Memory::default();
    while server.counted(FAILED) < before + attempts || begun.elapsed() < long {
        let added = tracks(*next, *next + 10);
        server.events(&added);
        assert_eq!(server.state()["entries"], json!(*next + 10));
        let mut removed = added;
        removed.as_array_mut().unwrap().iter_mut().for_each(|event| event["type"] = json!("track_removed"));
        server.events(&removed);
        assert!(begun.elapsed() < long + Duration::from_secs(60), "attempts never fail");
        memory.look(server);
    }
    memory.stayed();
    server.events(&tracks(*next, *next + 10));
    *next += 10;
    degraded(server).expect("readiness says so")
}

#[test]
fn minio_may_be_away_and_is_missed_only() {
    let (minio, folder) = (Minio::start(), tempfile::tempdir().unwrap());
    let place = Place::of(&minio, "of/segue", "300ms");
    let server = Server::start_with(folder.path(), &place.variables());
    let mut next = 500;
    server.events(&tracks(0, next));
    caught_up(&server);
    minio.kill();
    let long = Duration::from_secs(if std::env::var_os("SEGUE_SOAK").is_some() { 120 } else { 0 });
    let why = missing(&server, &mut next, 3, long);
    assert!(why.starts_with("degraded: object store: "), "{why}");
    minio.restart();
    caught_up(&server);
    let state = server.state();
    server.signal("KILL");
    drop(server);
    let server = Server::start_with(folder.path(), &place.variables());
    same(&server.state(), &state);
    // Nobody knows what to go on from while it is away: the server says so and does not start.
    drop(server);
    minio.kill();
    let mut serve = segue();
    serve.args(["serve", "--port", "0", "--data-dir"]).arg(folder.path().join("data"));
    serve.env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0").envs(place.variables());
    let refused = serve.output().expect("the binary starts");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("object store: listing "), "{refused:?}");
}

#[test]
fn a_store_that_is_full_refuses_hangs_or_loses_its_answers_is_missed_only() {
    let (minio, folder) = (Minio::start(), tempfile::tempdir().unwrap());
    let front = Front::before(&minio.settings("p").options["aws_endpoint_url"]);
    let place = Place::of(&minio, "p", "100ms").through(&front);
    let server = Server::start_with(folder.path(), &place.variables());
    let mut next = 100;
    server.events(&tracks(0, next));
    caught_up(&server);
    for (status, code) in [(403, "AccessDenied"), (503, "SlowDown"), (507, "XMinioStorageFull")] {
        front.mood(Mood::Refuse(status, code));
        let why = missing(&server, &mut next, 2, Duration::ZERO);
        assert!(why.starts_with("degraded: object store: ") && why.contains(code), "{why}");
        front.mood(Mood::Pass);
        caught_up(&server);
    }
    let failed = server.counted(FAILED);
    // Slow, as long as this test likes.
    front.mood(Mood::Hold);
    server.events(&tracks(next, next + 10));
    until("a request is held back", || front.seen(|seen| seen.held > 0).then_some(()));
    server.events(&tracks(next + 10, next + 20));
    assert_eq!(server.state()["entries"], json!(next + 20));
    front.mood(Mood::Pass);
    caught_up(&server);
    // It is created, and nobody is told: what is read back is one's own.
    front.mood(Mood::LoseCreates);
    server.events(&tracks(next + 20, next + 30));
    caught_up(&server);
    assert_eq!((server.counted(FAILED), front.seen(|seen| seen.lost > 0)), (failed, true));
    let state = server.state();
    server.signal("KILL");
    drop(server);
    front.mood(Mood::Pass);
    same(&Server::start_with(folder.path(), &place.variables()).state(), &state);
    let created = front.seen(|seen| seen.created.clone());
    assert!(created.len() >= 6 && created.values().all(|times| *times == 1), "{created:?}");
}

/// A second server on the snapshots of the first, which go on.
fn fenced(topic: &Topic, variables: &[(&str, &str)]) {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let variables = [&topic.variables()[..], variables].concat();
    let (old, _) = started(folders[0].path(), &variables);
    old.events(&tracks(0, 100));
    until("a snapshot", || (!old.admin("/snapshots").body.as_array()?.is_empty()).then_some(()));
    let new = Server::start_with(folders[1].path(), &variables);
    assert_eq!(old.ended(), Some(1));
    let said = std::fs::read_to_string(folders[0].path().join("said")).unwrap();
    let last = said.lines().last().unwrap();
    assert!(
        last.contains("generation 2 has taken over these snapshots, this server is generation 1"),
        "{said}"
    );
    new.events(&tracks(100, 150));
    let (state, there) = (reached(&new, 150), || new.admin("/snapshots").body);
    until("its snapshot", || (there()[0]["digest"] == state["digest"]).then_some(()));
    let epochs: Vec<u64> =
        there().as_array().unwrap().iter().map(|one| one["epoch"].as_u64().unwrap()).collect();
    assert!(epochs.is_sorted_by(|a, b| a > b), "{epochs:?}");
}

#[test]
fn the_older_of_two_servers_on_one_folder_stops() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().join("shared").display());
    let often = [("SEGUE__SNAPSHOTS__URL", &*url), ("SEGUE__SNAPSHOTS__EVERY", "200ms")];
    fenced(&Topic::new("fenced", 1), &often);
}

#[test]
fn the_older_of_two_servers_on_one_prefix_of_minio_stops() {
    let minio = Minio::start();
    let front = Front::before(&minio.settings("p").options["aws_endpoint_url"]);
    let place = Place::of(&minio, "p", "200ms").through(&front);
    fenced(&Topic::new("fenced-minio", 1), &place.variables());
    let created = front.seen(|seen| seen.created.clone());
    assert!(created.len() >= 2 && created.values().all(|times| *times == 1), "{created:?}");
}
