//! The copy in Redis: whatever becomes of Redis or of the server while events flow, afterwards every key is the
//! engine's row or chart, none is left of what is gone, and nobody has waited.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::harness::{Ended, Server, segue, until};
use crate::redis_server::Redis;

const TRACKS: u32 = 60;
const PLAYLISTS: u32 = 25;
/// Playlists that hold a track that has a row.
const SUPPORT: u64 = 3;
const NEIGHBOURS: usize = 6;

/// What tells the server of this Redis, and the settings of the test.
struct Place(Vec<(String, String)>);

impl Place {
    fn of(url: &str, own: &[(&str, &str)]) -> Self {
        let all = [
            ("NEIGHBOURS__MIN_SUPPORT", &*SUPPORT.to_string()),
            ("NEIGHBOURS__SAMPLE", "8"),
            ("NEIGHBOURS__GRID_MS", "10"),
            ("REDIS__URL", url),
            ("REDIS__EXPIRE", "2s"),
            ("REDIS__TIMEOUT", "300ms"),
            ("REDIS__BATCH", "7"),
            ("REDIS__NEIGHBOURS", &*NEIGHBOURS.to_string()),
            ("REDIS__CHART", "10"),
            ("REDIS__CHARTS_EVERY", "50ms"),
        ];
        let all = all.iter().chain(own);
        Place(all.map(|(name, value)| (format!("SEGUE__{name}"), (*value).to_owned())).collect())
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value)).collect()
    }
}

fn uri(track: u32) -> String {
    format!("s:track:{track}")
}

/// Events that change something most of the time; popular tracks come more often.
struct History(ChaCha8Rng);

impl History {
    fn new(seed: u64) -> Self {
        History(ChaCha8Rng::seed_from_u64(seed))
    }

    fn track(&mut self) -> Value {
        let some = self.0.random_range(1..=TRACKS);
        json!({"uri": uri(self.0.random_range(0..some))})
    }

    fn event(&mut self) -> Value {
        let playlist = format!("p:{}", self.0.random_range(0..PLAYLISTS));
        let mut event = match self.0.random_range(0..20) {
            0..=1 => json!({"type": "playlist_deleted"}),
            2..=4 => {
                let tracks: Vec<Value> = (0..self.0.random_range(0..25)).map(|_| self.track()).collect();
                json!({"type": "playlist_put", "tracks": tracks})
            }
            5..=9 => json!({"type": "track_removed", "track": self.track()}),
            _ => json!({"type": "track_added", "track": self.track()}),
        };
        let day = self.0.random_range(1..20);
        event["v"] = json!(1);
        event["playlist"] = json!(playlist);
        event["at"] = json!(format!("2026-01-{day:02}T12:00:00Z"));
        event
    }

    /// So many, one after the other in small batches; each batch is visible at once, as ever.
    fn flow(&mut self, server: &Server, batches: usize) {
        for _ in 0..batches {
            let events: Value = (0..5).map(|_| self.event()).collect();
            server.events(&events);
        }
    }
}

/// What there is to stand in Redis as the API tells it, by key: rows and charts, without epochs. And the most popular
/// tracks that have rows.
fn expected(server: &Server, prefix: &str) -> (BTreeMap<String, Value>, Vec<String>) {
    let as_of = server.state()["as_of"]["epoch"].as_u64().unwrap();
    until("the graph", || (server.counted("segue_graph_epoch") >= as_of).then_some(()));
    let (mut all, mut ranks) = (BTreeMap::new(), Vec::new());
    for track in (0..TRACKS).map(uri) {
        let beside = server.get(&format!("/v1/tracks/{track}/neighbours?limit={NEIGHBOURS}")).body;
        let playlists = beside["playlists"].as_u64().unwrap_or(0);
        if playlists >= SUPPORT {
            let neighbours = beside["neighbours"].as_array().unwrap().iter();
            let neighbours: Vec<Value> =
                neighbours.map(|one| json!({"uri": one["track"]["uri"], "shared": one["shared"]})).collect();
            let value = json!({"sampled": beside["sampled"], "neighbours": neighbours});
            all.insert(format!("{prefix}:v1:neighbours:{track}"), value);
            let id = segue_dataflow::ids::TrackId::of(&track);
            ranks.push((std::cmp::Reverse(playlists), id, track));
        }
    }
    ranks.sort();
    for (name, fields) in [
        ("popular", &["uri", "playlists"][..]),
        ("trending", &["uri", "playlists", "added", "before", "growth"]),
    ] {
        let mut answer = server.get(&format!("/v1/charts/{name}?limit=10")).body;
        let places = answer["chart"].as_array().unwrap().iter().map(|place| {
            let of = |field: &&str| {
                if *field == "uri" { place["track"]["uri"].clone() } else { place[*field].clone() }
            };
            fields.iter().map(|field| ((*field).to_owned(), of(field))).collect::<Value>()
        });
        let mut value = json!({"chart": places.collect::<Value>()});
        for field in ["days", "through"].iter().filter(|_| name == "trending") {
            value[*field] = answer[*field].take();
        }
        all.insert(format!("{prefix}:v1:chart:{name}"), value);
    }
    (all, ranks.into_iter().map(|(.., track)| track).collect())
}

/// All keys of the prefix but the state's, without epochs.
fn stands(redis: &Redis, prefix: &str) -> BTreeMap<String, Value> {
    let mut all = redis.all(&format!("{prefix}:*"));
    let state = all.remove(&format!("{prefix}:v1:state"));
    all.values_mut().for_each(|value| {
        let epoch = value.as_object_mut().unwrap().remove("epoch");
        assert!(epoch.is_some_and(|epoch| epoch.as_u64() > Some(0)), "{value}");
    });
    assert!(all.is_empty() || state.is_none_or(|state| state["epoch"].is_u64()));
    all
}

/// Waits until every key is the engine's row or chart, and there is no other.
fn same(server: &Server, redis: &Redis) -> usize {
    let (expected, _) = expected(server, "segue");
    until("every key is the engine's row", || (stands(redis, "segue") == expected).then_some(()));
    until("readiness has nothing to say", || degraded(server).is_none().then_some(()));
    let as_of = server.state()["as_of"]["epoch"].as_u64().unwrap();
    let state = || redis.all("segue:v1:state").pop_first().and_then(|(_, state)| state["epoch"].as_u64());
    until("the state says so", || state().is_some_and(|epoch| epoch >= as_of).then_some(()));
    expected.len()
}

/// What readiness says is the matter; the server is ready whatever it is.
fn degraded(server: &Server) -> Option<String> {
    let ready = server.admin("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.body);
    ready.body["checks"]["redis"].as_str().map(str::to_owned)
}

#[test]
fn whatever_becomes_of_redis_every_key_is_the_engines_row_afterwards() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let server = Server::start_with(folder.path(), &Place::of(&redis.url, &[]).variables());
    let mut history = History::new(1);
    history.flow(&server, 30);
    assert!(same(&server, &redis) > 10);
    let set = |name: &str, value: &str| drop(redis.ask(&["CONFIG", "SET", name, value]));
    type Do<'a> = &'a dyn Fn();
    // What is done to it, what ends that, and what readiness says in between.
    let troubles: [(&str, Do<'_>, Do<'_>, &str); 9] = [
        ("killed", &|| redis.kill(), &|| redis.restart(), "refused"),
        ("flushed", &|| drop(redis.ask(&["FLUSHALL"])), &|| {}, ""),
        ("stopped", &|| redis.signal("STOP"), &|| redis.signal("CONT"), "it takes too long"),
        (
            "paused",
            &|| drop(redis.ask(&["CLIENT", "PAUSE", "600000", "WRITE"])),
            &|| drop(redis.ask(&["CLIENT", "UNPAUSE"])),
            "it takes too long",
        ),
        (
            "a replica",
            &|| drop(redis.ask(&["REPLICAOF", "127.0.0.1", "1"])),
            &|| drop(redis.ask(&["REPLICAOF", "NO", "ONE"])),
            "READONLY",
        ),
        (
            "without replicas",
            &|| set("min-replicas-to-write", "1"),
            &|| set("min-replicas-to-write", "0"),
            "NOREPLICAS",
        ),
        ("full", &|| set("maxmemory", "1"), &|| set("maxmemory", "0"), "OOM"),
        (
            "flushed with scripts",
            &|| {
                redis.ask(&["SCRIPT", "FLUSH"]);
                redis.ask(&["FLUSHALL"]);
            },
            &|| {},
            "",
        ),
        (
            "half gone",
            &|| {
                const HALF: &str = "for n, key in ipairs(redis.call('KEYS', '*neighbours*')) do if n % 2 == 0 then redis.call('DEL', key) end end return 1";
                redis.ask(&["EVAL", HALF, "0"]);
            },
            &|| {},
            "",
        ),
    ];
    for (what, begin, end, said) in troubles {
        begin();
        history.flow(&server, 10);
        if !said.is_empty() {
            until(what, || {
                degraded(&server).filter(|why| why.starts_with("degraded: ") && why.contains(said))
            });
            history.flow(&server, 10);
            assert!(degraded(&server).is_some(), "{what}");
        }
        end();
        history.flow(&server, 5);
        same(&server, &redis);
    }
    assert!(server.counted("segue_redis_failures_total") >= 6);
    for name in ["rows", "commands", "bytes", "sweeps"] {
        assert!(server.counted(&format!("segue_redis_{name}_total")) > 0, "{name}");
    }
    server.metric("segue_redis_connected", "1");
    server.metric("segue_redis_pending_rows", "0");
    assert_eq!(server.counted("segue_redis_dropped_total"), 0);
    // All rows go.
    let gone: Value = (0..PLAYLISTS).map(|n| json!({"v": 1, "type": "playlist_deleted", "playlist": format!("p:{n}"), "at": "2026-01-01T00:00:00Z"})).collect();
    server.events(&gone);
    assert_eq!(same(&server, &redis), 2);
    // A Redis that stands still holds up no end either.
    redis.signal("STOP");
    until("it hangs", || degraded(&server));
    assert_eq!(server.stop(), Some(0));
    redis.signal("CONT");
}

#[test]
fn what_went_while_nobody_pushed_goes_and_what_is_not_ours_stays() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    // So long that nothing expires here.
    let place = Place::of(&redis.url, &[("REDIS__EXPIRE", "1h"), ("NEIGHBOURS__SAMPLE", "500")]);
    let mut history = History::new(2);
    let server = Server::start_with(folder.path(), &place.variables());
    history.flow(&server, 30);
    let before = until("rows", || Some(stands(&redis, "segue")).filter(|all| all.len() > 10));
    server.signal("KILL");
    drop(server);
    redis.ask(&["SET", "segue:v1:neighbours:s:track:never", r#"{"epoch":5,"sampled":9,"neighbours":[]}"#]);
    redis.ask(&["SET", "segue:v1:neighbours:s:track:odd", "x"]);
    redis.ask(&["SET", "segue:v2:neighbours:s:track:never", "1"]);
    redis.ask(&["SET", "other", "1"]);
    let alone = Place::of("", &[]);
    let server = Server::start_with(folder.path(), &alone.variables());
    assert!(!server.admin("/metrics").body.as_str().unwrap().contains("segue_redis_"));
    let deleted = |n: u32| json!({"v": 1, "type": "playlist_deleted", "playlist": format!("p:{n}"), "at": "2026-01-01T00:00:00Z"});
    server.events(&(0..PLAYLISTS - 6).map(deleted).collect());
    assert_eq!(server.stop(), Some(0));

    let server = Server::start_with(folder.path(), &place.variables());
    let (expected, _) = expected(&server, "segue");
    assert!(expected.len() < before.len(), "rows have gone");
    let ours = || {
        let mut all = redis.all("segue:v1:*");
        all.remove("segue:v1:state");
        // Rows that went before say so for a minute.
        all.retain(|_, value| value["sampled"] != 0);
        all.into_iter()
            .map(|(key, mut value)| {
                value.as_object_mut().into_iter().for_each(|value| drop(value.remove("epoch")));
                (key, value)
            })
            .collect::<BTreeMap<_, _>>()
    };
    until("only what is there stands there", || (ours() == expected).then_some(()));
    assert_eq!(redis.all("other").len() + redis.all("segue:v2:*").len(), 2);
}

#[test]
fn there_is_never_more_in_redis_than_is_allowed() {
    let redis = Redis::start();
    type Own<'a> = &'a [(&'a str, &'a str)];
    let bounds: [(&str, Own<'_>, usize, usize); 3] = [
        ("keys", &[("REDIS__MAX_KEYS", "12")], 12, usize::MAX),
        ("bytes", &[("REDIS__MAX_BYTES", "65536")], usize::MAX, 65_536),
        ("waiting", &[("REDIS__WAITING", "4")], usize::MAX, usize::MAX),
    ];
    for (what, own, keys, bytes) in bounds {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(&redis.url, &[&[("REDIS__PREFIX", what)], own].concat());
        let server = Server::start_with(folder.path(), &place.variables());
        let mut history = History::new(3);
        let inside = || {
            const SIZE: &str = "local keys, bytes = redis.call('KEYS', ARGV[1]), 0 \
                for _, key in ipairs(keys) do bytes = bytes + #key + redis.call('STRLEN', key) end \
                return {#keys, bytes}";
            let size = redis.ask(&["EVAL", SIZE, "0", &format!("{what}:*")]);
            let size = [0, 1].map(|i| size[i].as_u64().unwrap() as usize);
            assert!(size[0] <= keys && size[1] <= bytes, "{what}: {size:?}");
        };
        for _ in 0..40 {
            history.flow(&server, 1);
            inside();
        }
        let (mut expected, ranks) = expected(&server, what);
        if what == "keys" {
            // The most popular have them.
            ranks[9..]
                .iter()
                .for_each(|track| drop(expected.remove(&format!("{what}:v1:neighbours:{track}"))));
            assert_eq!(expected.len(), 11);
            until("those left out are told", || {
                (server.counted("segue_redis_left_out_rows") as usize == ranks.len() - 9).then_some(())
            });
        }
        until("every key is the engine's row", || {
            inside();
            (stands(&redis, what) == expected).then_some(())
        });
        if what == "waiting" {
            assert!(server.counted("segue_redis_dropped_total") > 0);
        }
    }
}

/// A Redis of its own, with TLS and a user.
struct Guarded {
    _ended: Ended,
    folder: tempfile::TempDir,
    port: u16,
}

impl Guarded {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let made =
                Command::new("openssl").args(arguments).current_dir(folder.path()).output().expect("openssl");
            assert!(made.status.success(), "{made:?}");
        };
        run(&[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days",
            "2", "-subj", "/CN=ca",
        ]);
        run(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "own.csr",
            "-subj",
            "/CN=localhost",
        ]);
        std::fs::write(
            folder.path().join("names"),
            "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
        )
        .unwrap();
        run(&[
            "x509",
            "-req",
            "-in",
            "own.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "own.pem",
        ]);
        let (child, port) = until("a free port", || {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = Guarded::launch(folder.path(), port);
            until("it listens, or cannot", || {
                let listens = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
                (listens || child.0.try_wait().unwrap().is_some()).then_some(())
            });
            child.0.try_wait().unwrap().is_none().then_some((child, port))
        });
        Guarded { _ended: child, folder, port }
    }

    fn launch(folder: &std::path::Path, port: u16) -> Ended {
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--port", "0", "--tls-port", &port.to_string(), "--save", ""]);
        server.args([
            "--tls-cert-file",
            "own.pem",
            "--tls-key-file",
            "key.pem",
            "--tls-ca-cert-file",
            "ca.pem",
        ]);
        server.args(["--tls-auth-clients", "no", "--user", "default", "off"]);
        // As docs/redis.md has it.
        let user = "segue on >hunter2 ~segue:* +evalsha +script|load +scan +get +set +getrange +pexpire +del";
        server.arg("--user").args(user.split(' '));
        let child: Child = server.current_dir(folder).stdout(Stdio::null()).spawn().expect("redis-server");
        Ended(child)
    }

    fn ask(&self, command: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args([
            "--tls",
            "--cacert",
            "ca.pem",
            "-h",
            "localhost",
            "-p",
            &self.port.to_string(),
            "--no-auth-warning",
        ]);
        let cli = cli
            .args(["--user", "segue", "--pass", "hunter2"])
            .args(command)
            .current_dir(self.folder.path())
            .output();
        String::from_utf8(cli.expect("redis-cli").stdout).unwrap()
    }
}

#[test]
fn tls_and_a_user_with_few_rights_will_do_and_no_password_is_ever_shown() {
    let (redis, folder) = (Guarded::start(), tempfile::tempdir().unwrap());
    let with = |password: &str| format!("rediss://segue:{password}@localhost:{}", redis.port);
    let ca = redis.folder.path().join("ca.pem");
    let start = |url: &str, ca: &str| {
        let said = folder.path().join("said");
        let mut command = segue();
        command
            .stderr(std::fs::File::create(&said).unwrap())
            .env("SSL_CERT_FILE", ca)
            .env_remove("SSL_CERT_DIR");
        let place = Place::of(url, &[]);
        let server = Server::launch(
            command,
            folder.path(),
            &[&place.variables()[..], &[("SEGUE_LOG", "debug")]].concat(),
        );
        until("ready", || (server.admin("/readyz").status == 200).then_some(()));
        (server, said)
    };
    let ca = ca.to_str().unwrap();
    let (server, _) = start(&with("hunter2"), ca);
    let put = |n: u32| json!({"v": 1, "type": "playlist_put", "playlist": format!("p:{n}"), "tracks": [{"uri": "t:1"}, {"uri": "t:2"}], "at": "2026-01-01T00:00:00Z"});
    server.events(&(0..3).map(put).collect());
    let row = until("the row", || {
        serde_json::from_str::<Value>(&redis.ask(&["GET", "segue:v1:neighbours:t:1"])).ok()
    });
    assert_eq!((&row["sampled"], &row["neighbours"]), (&json!(3), &json!([{"uri": "t:2", "shared": 3}])));
    assert_eq!(degraded(&server), None);
    assert_eq!(server.stop(), Some(0));

    let other = redis.folder.path().join("own.pem");
    for (url, trusted, why) in
        [(with("swordfish"), true, "authentication failed"), (with("hunter2"), false, "certificate")]
    {
        let (server, said) = start(&url, if trusted { ca } else { other.to_str().unwrap() });
        let told = until("readiness tells", || degraded(&server));
        assert!(told.to_lowercase().contains(&why.to_lowercase()), "{told}");
        server.events(&json!([put(9)]));
        assert_eq!(server.stop(), Some(0));
        let said = std::fs::read_to_string(said).unwrap();
        assert!(
            said.contains("rows are not pushed") && !said.contains("swordfish") && !said.contains("hunter2"),
            "{said}"
        );
    }
    let mut show = segue();
    let shown = show.args(["config", "show"]).env("SEGUE__REDIS__URL", with("hunter2")).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("redis.url") && shown.contains("segue:***@localhost") && !shown.contains("hunter2"),
        "{shown}"
    );
    let mut check = segue();
    let refused =
        check.args(["config", "check"]).env("SEGUE__REDIS__URL", "http://segue:hunter2@localhost").output();
    let refused = String::from_utf8(refused.unwrap().stderr).unwrap();
    assert!(refused.contains("redis.url") && !refused.contains("hunter2"), "{refused}");
}
