//! Bounds on what stands in Redis and on what waits.

use super::{History, Place, expected, stands};
use crate::harness::{Server, until};
use crate::redis_server::Redis;

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
