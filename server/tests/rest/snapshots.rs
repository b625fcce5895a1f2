//! Snapshots from outside: a restart goes on from the newest that is in order, and one that is not is named; and
//! what others read of it.

use std::fs::File;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Server, segue, until};
use crate::kafka::{Topic, added};

pub fn command(folder: &Path, arguments: &[&str]) -> Output {
    let mut segue = segue();
    segue.arg("snapshot").args(arguments).arg("--data-dir").arg(folder.join("data"));
    segue.output().expect("the binary starts")
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// Starts a server whose log goes to a file; tells the server and what it said until it was ready.
pub fn started(folder: &Path, variables: &[(&str, &str)]) -> (Server, String) {
    let said = folder.join("said");
    let mut command = segue();
    command.stderr(File::create(&said).unwrap());
    let server = Server::launch(command, folder, &[&[("SEGUE_LOG", "info")], variables].concat());
    until("ready", || (server.admin("/readyz").status == 200).then_some(()));
    (server, std::fs::read_to_string(said).unwrap())
}

pub fn tracks(from: u32, to: u32) -> Value {
    (from..to).map(|n| added(&format!("p:{}", n % 7), &n.to_string())).collect()
}

pub fn same(state: &Value, other: &Value) {
    for field in ["digest", "playlists", "entries", "tracks", "offsets"] {
        assert_eq!(state[field], other[field], "{field}");
    }
}

#[test]
fn a_restart_goes_on_from_the_newest_that_is_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (server, said) = started(folder.path(), &[("SEGUE__SNAPSHOTS__AT_END", "false")]);
    assert!(!said.contains("going on from a snapshot"), "{said}");
    let before = command(folder.path(), &["verify"]);
    assert!(text(&before.stderr).contains("there are no snapshots yet"), "{before:?}");
    server.events(&tracks(0, 3_000));
    let created = command(folder.path(), &["create", "--json"]);
    let first: Value = serde_json::from_slice(&created.stdout).expect("JSON");
    assert_eq!(
        (&first["entries"], &first["next"], &first["layers"]),
        (&json!(3_000), &json!([3_000]), &json!(1))
    );
    assert_eq!(first["digest"], server.state()["digest"]);
    // Nothing is new: nothing is written.
    assert_eq!(command(folder.path(), &["create", "--json"]).stdout, created.stdout);
    server.events(&tracks(3_000, 3_100));
    let created = command(folder.path(), &["create", "--json"]);
    let second: Value = serde_json::from_slice(&created.stdout).expect("JSON");
    assert_eq!((&second["entries"], &second["layers"]), (&json!(3_100), &json!(2)));
    server.events(&tracks(3_100, 3_150));
    let state = server.state();
    assert_eq!(server.admin("/snapshots").body, json!([second, first]));
    server.signal("KILL");
    drop(server);

    let listed = command(folder.path(), &["list"]);
    let lines: Vec<&str> = text(&listed.stdout).lines().collect();
    assert!(
        lines.len() == 2 && lines[0].contains("3100 entries") && lines[1].contains("3000 entries"),
        "{lines:?}"
    );
    assert_eq!(command(folder.path(), &["verify"]).status.code(), Some(0));

    let (server, said) = started(folder.path(), &[("SEGUE__SNAPSHOTS__AT_END", "false")]);
    assert!(said.contains("going on from a snapshot") && said.contains("entries=3100"), "{said}");
    same(&server.state(), &state);
    server.signal("KILL");
    drop(server);

    // One byte of the newest layer: found, named, and the one before it is used.
    let layer = folder
        .path()
        .join("data/snapshots/data")
        .join(format!("{:020}-1", second["epoch"].as_u64().unwrap()));
    let object = layer.join("tracks-0000.parquet");
    let mut bytes = std::fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&object, bytes).unwrap();
    let verified = command(folder.path(), &["verify"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(text(&verified.stdout).contains("tracks-0000.parquet: its SHA-256 is"), "{verified:?}");
    let older = first["epoch"].to_string();
    assert_eq!(command(folder.path(), &["verify", &older]).status.code(), Some(0));
    let (server, said) = started(folder.path(), &[("SEGUE__DATAFLOW__WORKERS", "4")]);
    let warning = said.lines().find(|line| line.contains("is passed over")).expect("a warning");
    assert!(warning.contains("WARN") && warning.contains("tracks-0000.parquet"), "{warning}");
    assert!(said.contains("going on from a snapshot") && said.contains("entries=3000"), "{said}");
    same(&server.state(), &state);
    server.events(&json!([added("p:0", "last")]));
    let state = server.state();
    assert_eq!(server.stop(), Some(0));
    // The one that was taken at the end has all of it: nothing of the log is read.
    let (server, said) = started(folder.path(), &[("SEGUE__DATAFLOW__WORKERS", "1")]);
    assert!(said.contains("going on from a snapshot") && said.contains("entries=3151"), "{said}");
    same(&server.state(), &state);
    server.signal("KILL");
    drop(server);
    // None is in order: the log has it all.
    let manifests = std::fs::read_dir(folder.path().join("data/snapshots/manifests")).unwrap();
    manifests.for_each(|manifest| std::fs::write(manifest.unwrap().path(), "{").unwrap());
    let (server, said) = started(folder.path(), &[]);
    assert!(said.contains("is passed over") && !said.contains("going on from a snapshot"), "{said}");
    same(&server.state(), &state);
}

#[test]
fn one_is_taken_as_soon_as_enough_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("SEGUE__SNAPSHOTS__EVERY", "24h"), ("SEGUE__SNAPSHOTS__EVERY_EVENTS", "100")];
    let server = Server::start_with(folder.path(), &variables);
    let there = || server.admin("/snapshots").body.as_array().unwrap().clone();
    let next = |snapshots: usize| {
        let newest = until("a snapshot", || Some(there()).filter(|there| there.len() == snapshots));
        newest[0]["next"][0].as_u64().unwrap()
    };
    server.events(&tracks(0, 99));
    assert!(there().is_empty());
    server.events(&tracks(99, 150));
    let first = next(1);
    assert!((100..=150).contains(&first), "{first}");
    // So much again after it.
    server.events(&tracks(150, 260));
    let second = next(2);
    assert!((first + 100..=260).contains(&second), "{first} {second}");
}

#[test]
fn snapshots_of_another_log_are_refused_and_none_are_taken_if_off() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let url = format!("file://{}", folders[0].path().join("shared").display());
    let server = Server::start_with(folders[0].path(), &[("SEGUE__SNAPSHOTS__URL", &url)]);
    server.events(&json!([added("p", "one")]));
    assert_eq!(server.stop(), Some(0));
    let server = Server::start_with(folders[1].path(), &[("SEGUE__SNAPSHOTS__URL", "off")]);
    server.events(&json!([added("p", "another"), added("p", "and another")]));
    assert_eq!(server.admin("/snapshots").body, json!([]));
    assert_eq!(server.stop(), Some(0));
    assert!(!folders[1].path().join("data/snapshots").exists());
    let mut serve = segue();
    serve.args(["serve", "--port", "0", "--data-dir"]).arg(folders[1].path().join("data"));
    serve.env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0").env("SEGUE__SNAPSHOTS__URL", &url);
    let refused = serve.output().expect("the binary starts");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("this is another log"), "{refused:?}");
}

#[test]
fn records_that_kafka_has_forgotten_are_in_the_snapshot() {
    let (topic, folder) = (Topic::new("forgotten", 1), tempfile::tempdir().unwrap());
    let server = Server::start_with(folder.path(), &topic.variables());
    server.events(&tracks(0, 50));
    let state = server.state();
    assert_eq!(server.stop(), Some(0));
    topic.forget(40);
    let server = Server::start_with(folder.path(), &topic.variables());
    same(&server.state(), &state);
    server.events(&tracks(50, 60));
    assert_eq!(server.state()["entries"], json!(60));
    server.signal("KILL");
    drop(server);
    // With less of the log than the snapshot needs after it, or without the snapshot, the server stops.
    let stops = |gone: &str| {
        let mut serve = segue();
        serve.args(["serve", "--port", "0", "--data-dir"]).arg(folder.path().join("data"));
        serve.env("SEGUE__SERVER__ADMIN_BIND", "127.0.0.1:0").envs(topic.variables());
        let stopped = serve.output().expect("the binary starts");
        assert_eq!(stopped.status.code(), Some(1));
        assert!(text(&stopped.stderr).contains(&format!("offset 0:{gone} is gone")), "{stopped:?}");
    };
    topic.forget(55);
    stops("50");
    std::fs::remove_dir_all(folder.path().join("data/snapshots")).unwrap();
    stops("0");
}

/// The Python that `scripts/setup tests` put DuckDB and pyarrow into.
fn python() -> std::path::PathBuf {
    let home = || std::path::PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, Into::into).join("segue");
    let mut readers = std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
    let is_one =
        |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("readers-");
    readers.find(is_one).expect("run scripts/setup tests").join("bin/python")
}

/// Runs a statement of SQL in DuckDB and counts the rows of all these files with pyarrow; prints both as JSON.
const READ: &str = r#"
import duckdb, glob, json, os, pyarrow.parquet, sys
tables = {}
for file in glob.glob(sys.argv[2]):
    table = os.path.basename(file).rsplit("-", 1)[0]
    tables[table] = tables.get(table, 0) + pyarrow.parquet.read_table(file).num_rows
print(json.dumps([duckdb.sql(sys.argv[1]).fetchall(), tables]))
"#;

#[test]
fn looking_at_what_is_not_there_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let listed = command(folder.path(), &["list"]);
    assert_eq!((listed.status.code(), text(&listed.stdout)), (Some(0), ""));
    let out = folder.path().join("out");
    for arguments in [&["verify"][..], &["export", "--out", out.to_str().unwrap()]] {
        let none = command(folder.path(), arguments);
        assert_eq!(none.status.code(), Some(1));
        assert!(text(&none.stderr).contains("there are no snapshots yet"), "{none:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn duckdb_and_pyarrow_read_it_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    // Track 0 in the most playlists, and so on.
    let events: Value = (0..12_u32)
        .flat_map(|track| (track..30).map(move |playlist| (track, playlist)))
        .map(|(track, playlist)| {
            let mut event = added(&format!("p:{playlist}"), &format!("t:{track}"));
            event["track"]["name"] = json!(format!("Náme {track}"));
            event
        })
        .collect();
    server.events(&events);
    assert_eq!(command(folder.path(), &["create"]).status.code(), Some(0));
    let document = include_str!("../../../docs/snapshots.md");
    let sql = |n: usize| document.split("```sql").nth(n).unwrap().split("```").next().unwrap();
    let read = |sql: &str, files: &str, place: &Path| {
        let mut read = std::process::Command::new(python());
        read.args(["-c", READ, sql, files]).current_dir(place);
        let read = read.output().expect("Python");
        let read: Value = serde_json::from_slice(&read.stdout).unwrap_or_else(|_| panic!("{read:?}"));
        read
    };
    // All events have the same day.
    let rows = |state: &Value| json!({"playlists": state["playlists"], "entries": state["entries"], "additions": state["entries"], "tracks": state["tracks"]});
    let whole = read("SELECT 1", "data/*/*.parquet", &folder.path().join("data/snapshots"));
    assert_eq!(whole, json!([[[1]], rows(&server.state())]));

    // With changes on top, a playlist gone: whole again once it is exported.
    let titled = |n: u32, title: &str| json!({"v": 1, "type": "playlist_titled", "playlist": format!("p:{n}"), "title": title, "at": "2026-01-01T00:00:00Z"});
    let deleted =
        json!({"v": 1, "type": "playlist_deleted", "playlist": "p:28", "at": "2026-01-01T00:00:00Z"});
    server.events(&json!([deleted, titled(7, "Siebte"), titled(29, "Letzte"), added("p:7", "new")]));
    let created = command(folder.path(), &["create", "--json"]);
    let created: Value = serde_json::from_slice(&created.stdout).expect("JSON");
    assert_eq!(created["layers"], 2);
    let out = folder.path().join("out");
    let export = || command(folder.path(), &["export", "--out", out.to_str().unwrap(), "--json"]);
    let exported = export();
    let said: Value = serde_json::from_slice(&exported.stdout).unwrap_or_else(|_| panic!("{exported:?}"));
    for field in ["epoch", "next", "playlists", "entries", "digest"] {
        assert_eq!(said[field], created[field], "{field}");
    }
    assert_eq!(said["layers"], 1);
    let files: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files.len(), 5, "{files:?}");
    let chart = server.get("/v1/charts/popular?limit=10").body;
    let chart: Vec<Value> = chart["chart"]
        .as_array()
        .unwrap_or_else(|| panic!("{chart}"))
        .iter()
        .map(|one| json!([one["track"]["name"], one["playlists"]]))
        .collect();
    assert_eq!(read(sql(1), "*.parquet", &out), json!([chart, rows(&server.state())]));
    let longest = read(sql(2), "*.parquet", &out);
    assert_eq!(longest, json!([[["Siebte", 9], ["Letzte", 12]], rows(&server.state())]));
    // It never writes over anything.
    let again = export();
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("there is something in it"), "{again:?}");
    // What is damaged is named, and not exported.
    let object = folder
        .path()
        .join("data/snapshots/data")
        .join(format!("{:020}-1", created["epoch"].as_u64().unwrap()));
    std::fs::write(object.join("entries-0000.parquet"), "damaged").unwrap();
    std::fs::remove_dir_all(&out).unwrap();
    let refused = export();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("entries-0000.parquet: it has 7 bytes"), "{refused:?}");
    assert!(!out.join("snapshot.json").exists());
}
