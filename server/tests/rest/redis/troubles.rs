//! Trouble with Redis while events flow.

use super::{History, Place, all_deleted, degraded, expected, is_row, rows_when_whole, same};
use crate::harness::{Server, until};
use crate::redis_server::Redis;

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
    server.events(&all_deleted());
    assert_eq!(same(&server, &redis), 2);
    // A Redis that stands still holds up no end either.
    redis.signal("STOP");
    until("it hangs", || degraded(&server));
    assert_eq!(server.stop(), Some(0));
    redis.signal("CONT");
}

#[test]
fn while_a_push_waits_for_redis_nobody_else_does() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    // It waits for the end of the pause.
    let place = Place::of(&redis.url, &[("REDIS__TIMEOUT", "1h")]);
    let server = Server::start_with(folder.path(), &place.variables());
    let mut history = History::new(4);
    history.flow(&server, 10);
    same(&server, &redis);
    redis.ask(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    let waits = || redis.says("clients", "blocked_clients:1");
    until("a push waits", || waits().then_some(()));
    let sent = server.counted("segue_redis_commands_total");
    // Events are visible, and rows and charts as-of them are told.
    let mut told = Vec::new();
    for _ in 0..20 {
        history.flow(&server, 1);
        told.push(expected(&server, "segue").0);
    }
    told.dedup();
    assert!(told.len() > 10, "{}", told.len());
    assert!(waits(), "it is the same push");
    assert_eq!(server.counted("segue_redis_commands_total"), sent);
    redis.ask(&["CLIENT", "UNPAUSE"]);
    same(&server, &redis);
}

#[test]
fn a_replica_that_lags_behind_may_take_over() {
    let (first, mut second, folder) = (Redis::start(), Redis::start(), tempfile::tempdir().unwrap());
    // No sweep but those that the failover brings.
    let place = Place::of(&first.url, &[("REDIS__EXPIRE", "1h")]);
    let server = Server::start_with(folder.path(), &place.variables());
    let rows = |redis: &Redis| {
        let (mut expected, _) = expected(&server, "segue");
        expected.retain(|key, _| is_row(key));
        assert_eq!(rows_when_whole(&server, redis), expected);
    };
    let mut history = History::new(6);
    history.flow(&server, 20);
    rows(&first);
    let port = first.url.rsplit(':').next().unwrap();
    first.ask(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
    second.ask(&["REPLICAOF", "127.0.0.1", port]);
    until("it is copied", || (second.all("segue:*") == first.all("segue:*")).then_some(()));
    second.ask(&["REPLICAOF", "NO", "ONE"]);
    history.flow(&server, 20);
    server.events(&all_deleted());
    history.flow(&server, 20);
    rows(&first);
    first.kill();
    second.ask(&["CONFIG", "SET", "port", port]);
    second.url.clone_from(&first.url);
    history.flow(&server, 5);
    rows(&second);
}
