//! The copy in Redis: whatever becomes of Redis or of the server while events flow, afterwards every key is the
//! engine's row or chart, none is left of what is gone, and nobody has waited.

mod bounds;
mod guarded;
mod sweeps;
mod troubles;

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::harness::{Server, until};
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

/// Events that change something most of the time; popular tracks come more often. With the tracks that a playlist is
/// put with at the most.
struct History(ChaCha8Rng, u32);

impl History {
    fn new(seed: u64) -> Self {
        Self::of_playlists(seed, 25)
    }

    fn of_playlists(seed: u64, tracks: u32) -> Self {
        History(ChaCha8Rng::seed_from_u64(seed), tracks)
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
                let tracks: Vec<Value> = (0..self.0.random_range(0..self.1)).map(|_| self.track()).collect();
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

/// That all playlists are deleted.
fn all_deleted() -> Value {
    let deleted = |n| json!({"v": 1, "type": "playlist_deleted", "playlist": format!("p:{n}"), "at": "2026-01-01T00:00:00Z"});
    (0..PLAYLISTS).map(deleted).collect()
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

/// The rows that stand there once the state says that all are true as-of now, all read at one time; without epochs, and
/// without those that only say that a row is gone.
fn rows_when_whole(server: &Server, redis: &Redis) -> BTreeMap<String, Value> {
    let as_of = server.state()["as_of"]["epoch"].as_u64().unwrap();
    let mut all = until("the state says so", || {
        let all = redis.all("segue:v1:*");
        (all.get("segue:v1:state")?["epoch"].as_u64()? >= as_of).then_some(all)
    });
    all.retain(|key, value| is_row(key) && value["sampled"] != 0);
    all.values_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("epoch")));
    all
}

fn is_row(key: &str) -> bool {
    key.starts_with("segue:v1:neighbours:")
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
