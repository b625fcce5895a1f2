//! Bounds on what stands in Redis and on what waits.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{History, NEIGHBOURS, Place, TRACKS, expected, stands, uri};
use crate::harness::{Server, until};
use crate::redis_server::Redis;

/// Keys of a prefix, and the bytes of these and of their values.
fn size(redis: &Redis, prefix: &str) -> [usize; 2] {
    const SIZE: &str = "local keys, bytes = redis.call('KEYS', ARGV[1]), 0 \
        for _, key in ipairs(keys) do bytes = bytes + #key + redis.call('STRLEN', key) end \
        return {#keys, bytes}";
    let size = redis.ask(&["EVAL", SIZE, "0", &format!("{prefix}:*")]);
    [0, 1].map(|i| size[i].as_u64().unwrap() as usize)
}

#[test]
fn there_is_never_more_in_redis_than_is_allowed() {
    let redis = Redis::start();
    type Own<'a> = &'a [(&'a str, &'a str)];
    let bounds: [(&str, Own<'_>, usize, usize); 3] = [
        ("keys", &[("REDIS__MAX_KEYS", "12")], 12, usize::MAX),
        // There is room for all: below, there is not.
        ("bytes", &[("REDIS__MAX_BYTES", "65536")], usize::MAX, 65_536),
        ("waiting", &[("REDIS__WAITING", "4")], usize::MAX, usize::MAX),
    ];
    for (what, own, keys, bytes) in bounds {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(&redis.url, &[&[("REDIS__PREFIX", what)], own].concat());
        let server = Server::start_with(folder.path(), &place.variables());
        let mut history = History::new(3);
        let inside = || {
            let size = size(&redis, what);
            assert!(size[0] <= keys && size[1] <= bytes, "{what}: {size:?}");
        };
        for number in 0..40 {
            history.flow(&server, 1);
            match number {
                10 => drop(redis.ask(&["FLUSHALL"])),
                20 => {
                    redis.kill();
                    redis.restart();
                }
                _ => {}
            }
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

#[test]
fn rows_give_way_to_charts_that_grow() {
    const BYTES: usize = 1 << 16;
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let own =
        [("REDIS__MAX_BYTES", &*BYTES.to_string()), ("REDIS__NEIGHBOURS", "60"), ("REDIS__CHART", "1000")];
    let server = Server::start_with(folder.path(), &Place::of(&redis.url, &own).variables());
    let put = |playlist: u32, tracks: &mut dyn Iterator<Item = u32>| {
        let tracks: Value = tracks.map(|track| json!({"uri": uri(track)})).collect();
        let playlist = format!("p:{playlist}");
        let event = json!({"v": 1, "type": "playlist_put", "playlist": playlist, "tracks": tracks, "at": "2026-01-05T12:00:00Z"});
        server.events(&json!([event]));
    };
    // Rows of all these, larger than there is room for.
    (0..10).for_each(|playlist| put(playlist, &mut (0..TRACKS)));
    let full = |least: usize| {
        let [_, bytes] = size(&redis, "segue");
        assert!(bytes <= BYTES, "{bytes}");
        (server.counted("segue_redis_left_out_rows") > 0 && bytes >= least).then_some(())
    };
    until("there is no room for more", || full(BYTES - 4_096));
    // Without any more rows, both charts grow.
    put(10, &mut (TRACKS..TRACKS + 300));
    let rows = |all: &BTreeMap<String, Value>| all.keys().filter(|key| super::is_row(key)).count();
    let chart = |stands: &BTreeMap<String, Value>, name: &str| {
        let chart = stands.get(&format!("segue:v1:chart:{name}")).map(|chart| chart["chart"].clone());
        let uris = chart.into_iter().flat_map(|chart| chart.as_array().cloned().unwrap_or_default());
        uris.map(|place| place["uri"].clone()).collect::<Vec<_>>()
    };
    let told = |name: &str| {
        let answer = server.get(&format!("/v1/charts/{name}?limit=1000")).body;
        let uris = answer["chart"].as_array().unwrap().iter().map(|place| place["track"]["uri"].clone());
        uris.collect::<Vec<_>>()
    };
    let all = until("the charts stand there", || {
        full(0);
        let stands = stands(&redis, "segue");
        ["popular", "trending"].iter().all(|name| chart(&stands, name) == told(name)).then_some(stands)
    });
    assert_eq!(chart(&all, "popular").len(), 360);
    // At the next sweep at the latest.
    until("rows have the rest", || full(BYTES - 8_192));
    redis.ask(&["FLUSHALL"]);
    until("there is as much after a flush", || full(BYTES - 8_192));
    redis.kill();
    redis.restart();
    until("there is as much after a restart", || full(BYTES - 8_192));
    let (expected, _) = expected(&server, "segue");
    let rows_there = stands(&redis, "segue");
    assert!((5..TRACKS as usize).contains(&rows(&rows_there)), "{}", rows(&rows_there));
    for (key, row) in rows_there.iter().filter(|(key, _)| super::is_row(key)) {
        let (row_there, known) = (row["neighbours"].as_array(), expected[key]["neighbours"].as_array());
        assert_eq!(row["sampled"], expected[key]["sampled"]);
        assert_eq!(row_there.map(|all| &all[..NEIGHBOURS]), known.map(Vec::as_slice));
    }
}

#[test]
fn what_a_server_before_left_takes_room() {
    const BYTES: usize = 1 << 16;
    let redis = Redis::start();
    let own = [
        ("REDIS__MAX_BYTES", &*BYTES.to_string()),
        ("REDIS__NEIGHBOURS", "60"),
        ("REDIS__ROWS_PER_S", "40"),
        ("REDIS__EXPIRE", "1h"),
    ];
    let place = Place::of(&redis.url, &own);
    let put = |server: &Server, playlist: u32, tracks: std::ops::Range<u32>| {
        let tracks: Value = tracks.map(|track| json!({"uri": uri(track)})).collect();
        let event = json!({"v": 1, "type": "playlist_put", "playlist": format!("p:{playlist}"), "tracks": tracks, "at": "2026-01-05T12:00:00Z"});
        server.events(&json!([event]));
    };
    let inside = || {
        let [_, bytes] = size(&redis, "segue");
        assert!(bytes <= BYTES, "{bytes}");
        bytes
    };
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start_with(first.path(), &place.variables());
    (0..10).for_each(|playlist| put(&server, playlist, 0..TRACKS));
    until("there is no room for more", || (inside() >= BYTES - 4_096).then_some(()));
    drop(server);
    // Another has these rows as well, and as many of tracks that more playlists hold.
    let without =
        place.variables().into_iter().filter(|(name, _)| !name.contains("REDIS")).collect::<Vec<_>>();
    let server = Server::start_with(second.path(), &without);
    (0..10).for_each(|playlist| put(&server, playlist, 0..TRACKS));
    (10..30).for_each(|playlist| put(&server, playlist, TRACKS..2 * TRACKS));
    drop(server);
    let _server = Server::start_with(second.path(), &place.variables());
    let popular: Vec<String> =
        (TRACKS..2 * TRACKS).map(|n| format!("segue:v1:neighbours:{}", uri(n))).collect();
    until("those that more playlists hold have all the room", || {
        let full = inside() >= BYTES / 2;
        let rows = stands(&redis, "segue").into_keys().filter(|key| super::is_row(key)).collect::<Vec<_>>();
        (full && rows.iter().all(|key| popular.contains(key))).then_some(())
    });
}
