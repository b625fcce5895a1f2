//! Sweeps: what went while nobody looked goes, and what was forgotten is found.

use std::collections::BTreeMap;

use serde_json::json;

use super::{History, PLAYLISTS, Place, all_deleted, expected, is_row, rows_when_whole, stands};
use crate::harness::{Server, until};
use crate::redis_server::Redis;

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
fn a_row_that_goes_before_the_sweep_comes_to_its_key_leaves_none() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    // So slow that the sweep is on its way for seconds, and so patient that it goes on afterwards.
    let own = [("REDIS__EXPIRE", "1h"), ("REDIS__TIMEOUT", "1h"), ("REDIS__ROWS_PER_S", "20")];
    let place = Place::of(&redis.url, &own);
    let server = Server::start_with(folder.path(), &place.variables());
    History::new(5).flow(&server, 30);
    assert!(rows_when_whole(&server, &redis).len() > 10);
    assert_eq!(server.stop(), Some(0));
    const MANY: &str = "for n = 1, 50000 do redis.call('SET', 'other:' .. n, 1) end return 1";
    redis.ask(&["EVAL", MANY, "0"]);
    redis.ask(&["CONFIG", "RESETSTAT"]);

    let server = Server::start_with(folder.path(), &place.variables());
    until("the sweep has begun", || redis.says("commandstats", "cmdstat_scan:").then_some(()));
    redis.signal("STOP");
    server.events(&all_deleted());
    expected(&server, "segue");
    redis.signal("CONT");
    assert_eq!(rows_when_whole(&server, &redis), BTreeMap::new());
}

/// More rows change than may wait, again and again; only that makes a sweep due.
fn forget(waiting: &str, mut history: History, mut events: impl FnMut(&mut History, &Server)) {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let own = [("REDIS__EXPIRE", "1h"), ("REDIS__ROWS_PER_S", "30"), ("REDIS__WAITING", waiting)];
    let server = Server::start_with(folder.path(), &Place::of(&redis.url, &own).variables());
    for _ in 0..5 {
        events(&mut history, &server);
        let (mut expected, _) = expected(&server, "segue");
        expected.retain(|key, _| is_row(key));
        assert_eq!(rows_when_whole(&server, &redis), expected);
    }
    assert!(server.counted("segue_redis_dropped_total") > 0);
    server.events(&all_deleted());
    assert_eq!(rows_when_whole(&server, &redis), BTreeMap::new());
}

#[test]
fn rows_of_a_step_that_is_too_large_to_wait_are_found_again() {
    forget("4", History::new(6), |history, server| history.flow(server, 20));
}

#[test]
fn rows_that_go_for_others_to_wait_are_found_again() {
    forget("10", History::of_playlists(7, 10), |history, server| {
        (0..60).for_each(|_| drop(server.events(&json!([history.event()]))));
    });
}
