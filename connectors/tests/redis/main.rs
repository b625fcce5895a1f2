//! A real Redis, which `scripts/services` starts for each test: nothing older ever wins, whatever becomes of it.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but clippy does not see that all of this file is one"
)]

mod server;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_connectors::redis::layout::{Beside, Layout, Row, dated, gone, json};
use segue_connectors::redis::{Connection, Error, Settings, Write};
use serde_json::json;
use server::Redis;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(redis: &Redis, prefix: &str) -> Settings {
    let (url, prefix) = (redis.url.clone(), prefix.to_owned());
    Settings { url, prefix, expire: Duration::from_secs(600), timeout: Duration::from_millis(500) }
}

fn open(redis: &Redis) -> Connection {
    Connection::open(&settings(redis, "test")).expect("a server")
}

/// That a track has a row.
fn row(connection: &Connection, track: &str, epoch: u64) -> Write {
    let neighbours = vec![Beside { uri: "t:other", shared: 2 }];
    let value = dated(epoch, &json(&Row { sampled: 2, neighbours }));
    Write { key: connection.layout().row(track), value, epoch, gone: false }
}

/// That it has none any more.
fn none(connection: &Connection, track: &str, epoch: u64) -> Write {
    Write { key: connection.layout().row(track), value: gone(epoch), epoch, gone: true }
}

/// By key, the epoch that stands there.
fn epochs(redis: &Redis, pattern: &str) -> BTreeMap<String, u64> {
    redis.all(pattern).into_iter().map(|(key, value)| (key, value["epoch"].as_u64().unwrap())).collect()
}

#[test]
fn what_is_older_never_wins() {
    let redis = Redis::start();
    let mut to = open(&redis);
    let (five, four, dead) = (row(&to, "t", 5), row(&to, "t", 4), none(&to, "t", 7));
    let key = five.key.clone();
    assert_eq!(to.put(&[five.clone(), four, five.clone()]), Ok(vec![true, false, true]));
    assert_eq!(redis.ask(&["GET", &key]).as_str(), Some(&*five.value));
    let touched = |to: &mut Connection, epoch| to.touch([(&*key, epoch)].into_iter()).unwrap()[0];
    assert_eq!([4, 5, 6].map(|epoch| touched(&mut to, epoch)), [false, true, false]);
    assert_eq!(to.delete([&*key].into_iter(), 4), Ok(vec![false]));

    // What is gone cannot be undone by what was before, and goes by itself soon.
    assert_eq!(to.put(&[dead, row(&to, "t", 6)]), Ok(vec![true, false]));
    assert!(!touched(&mut to, 7));
    assert_eq!(to.delete([&*key].into_iter(), 9), Ok(vec![false]));
    let left = redis.ask(&["PTTL", &key]).as_u64().unwrap();
    assert!((1..=60_000).contains(&left), "{left} ms");
    assert_eq!(to.put(&[row(&to, "t", 8)]), Ok(vec![true]));
    let left = redis.ask(&["PTTL", &key]).as_u64().unwrap();
    assert!((60_001..=600_000).contains(&left), "{left} ms");
    assert_eq!(to.delete([&*key, "none"].into_iter(), 8), Ok(vec![true, true]));
    assert_eq!(redis.ask(&["EXISTS", &key]), json!(0));

    // Whatever somebody else left there is not in the way.
    redis.ask(&["RPUSH", &key, "x"]);
    assert_eq!(to.put(std::slice::from_ref(&five)), Ok(vec![true]));
    redis.ask(&["SET", &key, "{\"epoch\":x}"]);
    assert_eq!(to.put(&[five]), Ok(vec![true]));
    assert_eq!(epochs(&redis, "*"), BTreeMap::from([(key, 5)]));
    // Epochs that floats cannot tell apart would not do; those of the next 200,000 years do.
    let late = (1 << 53) - 1;
    let writes = [row(&to, "l", late), row(&to, "l", late - 1)];
    assert_eq!(to.put(&writes), Ok(vec![true, false]));
}

#[test]
fn the_newest_of_any_history_stands_there() {
    let redis = Redis::start();
    for seed in 0..20 {
        redis.ask(&["FLUSHALL"]);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Writers that know nothing of each other.
        let mut writers = [(); 3].map(|()| open(&redis));
        let mut twin: BTreeMap<String, (u64, bool)> = BTreeMap::new();
        for _ in 0..40 {
            let to = &mut writers[rng.random_range(0..3)];
            let writes: Vec<Write> = (0..rng.random_range(1..20))
                .map(|_| {
                    let (track, epoch) = (rng.random_range(0..15).to_string(), rng.random_range(1..100));
                    if rng.random_bool(0.3) { none(to, &track, epoch) } else { row(to, &track, epoch) }
                })
                .collect();
            let won = to.put(&writes).unwrap();
            for (write, won) in writes.iter().zip(won) {
                let newer = twin.get(&write.key).is_none_or(|(epoch, _)| *epoch <= write.epoch);
                assert_eq!(won, newer, "seed {seed}: {write:?}");
                if newer {
                    twin.insert(write.key.clone(), (write.epoch, write.gone));
                }
            }
        }
        let there = redis.all("*").into_iter();
        let there =
            there.map(|(key, value)| (key, (value["epoch"].as_u64().unwrap(), value["sampled"] == 0)));
        assert_eq!(there.collect::<BTreeMap<_, _>>(), twin, "seed {seed}");
    }
}

#[test]
fn keys_of_this_prefix_and_version_are_found_and_no_others() {
    let redis = Redis::start();
    let mut writers =
        ["a", "a*", "[ab]", "a:v1"].map(|prefix| Connection::open(&settings(&redis, prefix)).unwrap());
    for to in &mut writers {
        let writes: Vec<Write> = (0..2_500).map(|n| row(to, &format!("t:{n}"), 1)).collect();
        assert!(to.put(&writes).unwrap().into_iter().all(|won| won));
        assert_eq!(to.beat(1, 0), Ok(false));
    }
    for to in &mut writers {
        let (mut from, mut found) = (0, Vec::new());
        loop {
            let (next, keys) = to.scan(from).unwrap();
            found.extend(keys);
            from = next;
            if from == 0 {
                break;
            }
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 2_500);
        assert!(found.iter().all(|key| to.layout().track(key).is_some_and(|track| track.starts_with("t:"))));
    }
}

#[test]
fn a_flush_is_noticed_and_forgotten_scripts_are_told_again() {
    let redis = Redis::start();
    let mut to = open(&redis);
    assert_eq!([to.beat(3, 0), to.beat(2, 0), to.beat(4, 0)], [Ok(false), Ok(true), Ok(true)]);
    assert_eq!(redis.all("*"), BTreeMap::from([(to.layout().state(), json!({"epoch": 4}))]));
    redis.ask(&["SCRIPT", "FLUSH"]);
    assert_eq!(to.put(&[row(&to, "t", 1), row(&to, "u", 1)]), Ok(vec![true, true]));
    redis.ask(&["FLUSHALL"]);
    let says = || redis.all("*")[&Layout::new("test").state()]["epoch"].as_u64();
    // What is empty does not say that all is there.
    assert_eq!((to.beat(5, 4), says()), (Ok(false), Some(0)));
    assert_eq!((to.beat(6, 0), says()), (Ok(true), Some(6)));
    // Nor does one that has fallen behind.
    assert_eq!((to.beat(7, 6), to.beat(9, 8), says()), (Ok(true), Ok(false), Some(0)));
}

#[test]
fn what_was_on_its_way_while_the_server_stood_still_does_not_undo_what_came_after() {
    let redis = Redis::start();
    let (mut old, mut new) = (open(&redis), open(&redis));
    let key = old.layout().row("t");
    redis.signal("STOP");
    let large: Vec<Write> = (0..500).map(|_| row(&old, "t", 5)).collect();
    let hung = old.put(&large).expect_err("nobody answers");
    assert!(matches!(&hung, Error::Away { why, .. } if why == "it takes too long"), "{hung}");
    assert!(Connection::open(&settings(&redis, "test")).is_err());
    // Its bytes are with the server, whether or not it is still there.
    redis.signal("CONT");
    assert_eq!(new.put(&[none(&new, "t", 6)]), Ok(vec![true]));
    drop(old);
    assert_eq!(new.put(&[row(&new, "t", 7), row(&new, "t", 5)]), Ok(vec![true, false]));
    assert_eq!(epochs(&redis, "*"), BTreeMap::from([(key, 7)]));
    redis.kill();
    let lost = new.beat(1, 0).expect_err("nobody is there");
    assert!(matches!(lost, Error::Away { .. }), "{lost}");
    let away = Connection::open(&settings(&redis, "test")).err().map(|error| error.to_string());
    assert!(away.as_ref().is_some_and(|away| away.contains("refused")), "{away:?}");
    redis.restart();
    assert_eq!(open(&redis).beat(1, 0), Ok(false));
}

#[test]
fn a_server_that_refuses_says_why() {
    let redis = Redis::start();
    let mut to = open(&redis);
    let refusals: [(&[&str], &[&str], &str); 3] = [
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "OOM"),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "NOREPLICAS",
        ),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "READONLY"),
    ];
    for (epoch, (refuse, mend, word)) in (1..).zip(refusals) {
        redis.ask(refuse);
        for refused in [to.put(&[row(&to, "t", epoch)]).map(drop), to.beat(epoch, 0).map(drop)] {
            let refused = refused.expect_err(word);
            assert!(matches!(&refused, Error::Refused { why, .. } if why.contains(word)), "{refused}");
        }
        redis.ask(mend);
        assert_eq!(to.put(&[row(&to, "t", epoch)]), Ok(vec![true]), "{word}");
    }
    redis.ask(&["CONFIG", "SET", "requirepass", "secret"]);
    let refused = Connection::open(&settings(&redis, "test")).err().expect("no password");
    assert!(matches!(&refused, Error::Refused { why, .. } if why.contains("NOAUTH")), "{refused}");
    let with = |url: &str| {
        let url = redis.url.replace("redis://", url);
        Connection::open(&Settings { url, ..settings(&redis, "test") })
    };
    let refused = with("redis://:hunter2@").err().expect("another password").to_string();
    assert!(!refused.contains("hunter2"), "{refused}");
    assert_eq!(with("redis://default:secret@").unwrap().put(&[row(&to, "t", 9)]), Ok(vec![true]));
}

#[test]
fn values_are_gone_some_time_unless_they_are_kept() {
    let redis = Redis::start();
    let lasting = |ms| Settings { expire: Duration::from_millis(ms), ..settings(&redis, "test") };
    let [mut short, mut long] = [200, 500_000].map(|ms| Connection::open(&lasting(ms)).unwrap());
    assert_eq!(long.put(&[row(&long, "t", 1), none(&long, "u", 1)]), Ok(vec![true, true]));
    let keys = ["t", "u"].map(|track| long.layout().row(track));
    let left = || keys.each_ref().map(|key| redis.ask(&["PTTL", key]).as_i64().unwrap());
    assert!(matches!(left(), [60_001..=500_000, 0..=60_000]), "{:?}", left());
    assert_eq!(open(&redis).touch([(&*keys[0], 1)].into_iter()), Ok(vec![true]));
    assert!(left()[0] > 500_000, "{:?}", left());
    assert_eq!(short.put(&[row(&short, "t", 2), none(&short, "u", 2)]), Ok(vec![true, true]));
    assert_eq!(short.beat(1, 0), Ok(false));
    let begun = Instant::now();
    while !redis.all("*").is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?}", redis.all("*"));
        std::thread::yield_now();
    }
}
