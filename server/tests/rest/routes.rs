//! Every route: what it answers, and how it refuses.

use serde_json::{Value, json};

use crate::harness::Server;

const AT: &str = "2024-05-01T12:00:00Z";

/// Three playlists: a, b, c share t1; a and b share t2; only a has t3; only c has t4.
fn loaded(folder: &std::path::Path) -> Server {
    let server = Server::start(folder);
    let track = |n: u32| json!({"uri": format!("s:track:{n}"), "name": format!("Track {n}"), "artist": {"uri": "s:artist:1", "name": "One"}});
    let put = |name: &str, title: &str, tracks: &[u32]| {
        let tracks: Vec<Value> = tracks.iter().map(|n| track(*n)).collect();
        json!({"v": 1, "type": "playlist_put", "playlist": format!("p:{name}"), "title": title, "tracks": tracks, "at": AT})
    };
    server.events(&json!([
        put("a", "Chill Hits", &[1, 2, 3]),
        put("b", "chill hits!", &[1, 2]),
        put("c", "Gym", &[1, 4])
    ]));
    server
}

#[test]
fn what_every_route_answers() {
    let folder = tempfile::tempdir().unwrap();
    let server = loaded(folder.path());

    let track = server.get("/v1/tracks/s:track:1");
    assert_eq!((track.status, &track.body["playlists"]), (200, &json!(3)));
    assert_eq!(
        track.body["track"],
        json!({"uri": "s:track:1", "name": "Track 1", "artist": {"uri": "s:artist:1", "name": "One"}})
    );
    assert!(track.body["as_of"]["epoch"].as_u64().unwrap() > 1_700_000_000_000);
    assert!(track.body["as_of"]["at"].as_str().unwrap().ends_with('Z'));
    assert!(track.headers.contains_key("x-request-id"));
    assert_eq!(server.get("/v1/tracks/s%3Atrack%3A1").body["playlists"], 3);

    let beside = server.get("/v1/tracks/s:track:1/neighbours?limit=2").body;
    assert_eq!((&beside["playlists"], &beside["sampled"]), (&json!(3), &json!(3)));
    assert_eq!(beside["neighbours"][0]["track"]["uri"], "s:track:2");
    assert_eq!(beside["neighbours"][0]["shared"], 2);
    assert_eq!(beside["neighbours"].as_array().unwrap().len(), 2);
    assert!(beside["graph"]["epoch"].is_u64());

    let pair = server.get("/v1/tracks/s:track:1/with/s:track:2").body;
    assert_eq!(
        (&pair["playlists"], &pair["with"]["playlists"], &pair["shared"]),
        (&json!(3), &json!(2), &json!(2))
    );
    assert_eq!(
        (&pair["track"]["name"], &pair["with"]["track"]["name"]),
        (&json!("Track 1"), &json!("Track 2"))
    );
    assert_eq!(pair["sample"], json!({"shared": 2, "of": 3}));
    let cosine = 2.0 / 6.0_f64.sqrt();
    assert_eq!(pair["similarity"], json!({"cosine": cosine, "jaccard": 2.0 / 3.0, "lift": 1.0}));

    let playlist = server.get("/v1/playlists/p:a").body;
    assert_eq!(playlist["playlist"], json!({"uri": "p:a", "title": "Chill Hits", "entries": 3}));
    assert_eq!(playlist["tracks"].as_array().unwrap().len(), 3);

    let uris = |body: &Value| -> Vec<(String, String)> {
        let all = body["recommendations"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        all.map(|r| (text(&r["track"]["uri"]), text(&r["source"]))).collect()
    };
    let wanted = json!({"seeds": ["s:track:2", "nobody:knows"], "exclude": ["s:track:1"], "limit": 10});
    let found = server.post("/v1/recommendations", "application/json", wanted.to_string());
    assert_eq!(found.status, 200, "{}", found.body);
    assert_eq!(
        uris(&found.body),
        // The fourth is beside a track of the same artist.
        [("s:track:3".into(), "cooccurrence".into()), ("s:track:4".into(), "cooccurrence".into())]
    );
    assert_eq!(found.body["unknown_seeds"], json!(["nobody:knows"]));
    assert_eq!(found.body["recommendations"][0]["rank"], 1);
    let why = json!({"seeds": ["s:track:2", "s:track:3"], "explain": true, "limit": 1, "max_per_artist": 1});
    let why = server.post("/v1/recommendations", "application/json", why.to_string()).body;
    assert_eq!(uris(&why), [("s:track:1".into(), "cooccurrence".into())]);
    let because = why["recommendations"][0]["because"].as_array().unwrap();
    let reason = |n: usize| (&because[n]["seed"], &because[n]["shared"], &because[n]["of"]);
    assert_eq!(reason(0), (&json!("s:track:3"), &json!(1), &json!(1)));
    assert_eq!(reason(1), (&json!("s:track:2"), &json!(2), &json!(2)));
    let share: f64 = because.iter().map(|reason| reason["share"].as_f64().unwrap()).sum();
    assert!(share > 0.5 && share < 1.000_001, "{why}");
    assert!(found.body["recommendations"][0]["because"].is_null());
    let by_artist = json!({"seeds": ["s:track:2"], "exclude": ["s:track:1"], "explain": true});
    let by_artist = server.post("/v1/recommendations", "application/json", by_artist.to_string()).body;
    let because = &by_artist["recommendations"][1]["because"];
    assert_eq!(because, &json!([{"seed": "s:track:2", "shared": 0, "of": 2, "share": 1.0}]), "{by_artist}");
    let why = server.get("/v1/playlists/p:b/recommendations?limit=1&explain=true").body;
    assert_eq!(why["recommendations"][0]["because"][0]["of"], 1, "{why}");

    let unknown = json!({"seeds": ["nobody:knows"], "random_seeds": true, "limit": 1}).to_string();
    let popular = server.post("/v1/recommendations", "application/json", unknown).body;
    assert_eq!(uris(&popular), [("s:track:1".into(), "popular".into())]);
    let titled = server.post(
        "/v1/recommendations",
        "application/json",
        json!({"title": "CHILL HITS", "limit": 1}).to_string(),
    );
    assert_eq!(uris(&titled.body).len(), 1);
    assert_eq!(uris(&titled.body)[0].1, "title");
    let from = server.get("/v1/playlists/p:b/recommendations?limit=1").body;
    assert_eq!(uris(&from), [("s:track:3".into(), "cooccurrence".into())]);

    let chart = server.get("/v1/charts/popular?limit=1").body;
    assert_eq!(chart["chart"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&chart["chart"][0]["track"]["uri"], &chart["chart"][0]["playlists"]),
        (&json!("s:track:1"), &json!(3))
    );

    // All seven entries were added on the day that all three events have.
    let trending = server.get("/v1/charts/trending?days=2&limit=2").body;
    assert_eq!((&trending["days"], &trending["through"]), (&json!(2), &json!("2024-05-01")));
    let first = &trending["chart"][0];
    assert_eq!((&first["rank"], &first["track"]["uri"]), (&json!(1), &json!("s:track:1")));
    assert_eq!((&first["playlists"], &first["added"], &first["before"]), (&json!(3), &json!(3), &json!(0)));
    assert!((first["growth"].as_f64().unwrap() - 3_f64.sqrt()).abs() < 1e-3, "{first}");
    assert_eq!((trending["chart"].as_array().unwrap().len(), &trending["chart"][1]["added"]), (2, &json!(2)));

    let state = server.state();
    assert_eq!((&state["playlists"], &state["entries"], &state["tracks"]), (&json!(3), &json!(7), &json!(4)));
    assert_eq!((&state["offsets"], &state["dead_letters"]), (&json!({"0": 3}), &json!(0)));
    assert_eq!(state["digest"].as_str().unwrap().len(), 32);

    let page = server.get("/").body;
    assert!(page.as_str().unwrap().contains("<html"));
    for (path, kind) in [("/page.css", "text/css"), ("/page.js", "text/javascript")] {
        assert!(page.as_str().unwrap().contains(&format!("\"{path}\"")), "the page does not name {path}");
        let file = server.get(path);
        assert_eq!(file.status, 200);
        assert!(file.headers["content-type"].to_str().unwrap().starts_with(kind));
        assert!(file.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    }
    assert_eq!(server.admin("/livez").status, 200);
    assert_eq!(server.admin("/startupz").status, 200);
    assert_eq!(server.admin("/readyz").body["ready"], true);
    let metrics = server.admin("/metrics").body;
    assert!(metrics.as_str().unwrap().contains("segue_events_accepted_total 3"), "{metrics}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn an_added_track_changes_the_next_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = loaded(folder.path());
    let first = |server: &Server| {
        server.get("/v1/playlists/p:c/recommendations?limit=1").body["recommendations"][0]["track"]["uri"]
            .clone()
    };
    assert_eq!(first(&server), "s:track:2");
    server.events(
        &json!({"v": 1, "type": "track_added", "playlist": "p:c", "track": {"uri": "s:track:2"}, "at": AT}),
    );
    assert_eq!(first(&server), "s:track:3");
    server.events(&json!({"v": 1, "type": "playlist_deleted", "playlist": "p:c", "at": AT}));
    assert_eq!(server.get("/v1/playlists/p:c").status, 404);
    assert_eq!(server.get("/v1/tracks/s:track:4").status, 404);
}

#[test]
fn how_requests_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = loaded(folder.path());
    for (path, status, code) in [
        ("/v1/tracks/nope", 404, "unknown_track"),
        ("/v1/tracks/nope/neighbours", 404, "unknown_track"),
        ("/v1/tracks/s:track:1/with/nope", 404, "unknown_track"),
        ("/v1/tracks/nope/with/s:track:1", 404, "unknown_track"),
        ("/v1/tracks/s:track:1/with/s:track:2?limit=1", 400, "unknown_parameter"),
        ("/v1/playlists/nope", 404, "unknown_playlist"),
        ("/v1/playlists/nope/recommendations", 404, "unknown_playlist"),
        ("/v1/nothing", 404, "unknown_route"),
        ("/v1/events", 405, "method_not_allowed"),
        ("/v1/charts/popular?limit=0", 400, "out_of_range"),
        ("/v1/charts/popular?limit=1001", 400, "out_of_range"),
        ("/v1/charts/popular?limt=5", 400, "unknown_parameter"),
        ("/v1/charts/trending?days=0", 400, "out_of_range"),
        ("/v1/charts/trending?days=15", 400, "out_of_range"),
        ("/v1/tracks/s:track:1/neighbours?limit=x", 400, "out_of_range"),
        ("/v1/playlists/p:a/recommendations?explain=yes", 400, "wrong_type"),
        ("/v1/tokens/what", 400, "bad_token"),
    ] {
        let reply = server.get(path);
        assert_eq!((reply.status, &reply.body["code"]), (status, &json!(code)), "{path}: {}", reply.body);
        assert_eq!(reply.headers["content-type"], "application/problem+json");
        assert_eq!(reply.body["request_id"], reply.headers["x-request-id"].to_str().unwrap());
        assert_eq!(reply.body["status"], status);
    }
    let many = |n: usize| -> Vec<String> { (0..n).map(|i| i.to_string()).collect() };
    for (body, code, field) in [
        ("{".to_owned(), "malformed_json", ""),
        ("{} x".into(), "malformed_json", ""),
        ("{}".into(), "missing_field", "seeds"),
        (json!({"seeds": []}).to_string(), "missing_field", "seeds"),
        (json!({"seeds": ["a", 5]}).to_string(), "wrong_type", "seeds[1]"),
        (json!({"seeds": [""]}).to_string(), "empty_id", "seeds[0]"),
        (json!({"seeds": ["x".repeat(600)]}).to_string(), "id_too_long", "seeds[0]"),
        (json!({"seeds": many(501)}).to_string(), "out_of_range", "seeds"),
        (json!({"seeds": ["a"], "exclude": many(10_001)}).to_string(), "out_of_range", "exclude"),
        (json!({"seeds": ["a"], "limit": 0}).to_string(), "out_of_range", "limit"),
        (json!({"seeds": ["a"], "limit": 1.5}).to_string(), "out_of_range", "limit"),
        (json!({"seeds": ["a"], "max_per_artist": 0}).to_string(), "out_of_range", "max_per_artist"),
        (json!({"seeds": ["a"], "random_seeds": 1}).to_string(), "wrong_type", "random_seeds"),
        (json!({"seeds": ["a"], "sedes": []}).to_string(), "wrong_type", "sedes"),
    ] {
        let reply = server.post("/v1/recommendations", "application/json", &body);
        let shown = (reply.status, &reply.body["code"], reply.body["field"].as_str().unwrap_or(""));
        assert_eq!(shown, (400, &json!(code), field), "{}: {}", &body[..body.len().min(80)], reply.body);
    }
}

#[test]
fn request_ids_and_the_methods_a_path_takes() {
    let folder = tempfile::tempdir().unwrap();
    let server = loaded(folder.path());
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let state = format!("{}/v1/state", server.api);
    let id = |own: &str| {
        let reply = agent.get(&state).header("x-request-id", own).call().unwrap();
        reply.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id("mine-1"), "mine-1");
    let (one, two) = (id(&"x".repeat(129)), id(""));
    assert!(one.len() == 36 && two.len() == 36 && one != two, "{one} {two}");
    for (path, allow) in [
        ("/v1/state", "GET"),
        ("/v1/charts/popular", "GET"),
        ("/v1/charts/trending", "GET"),
        ("/v1/tracks/s:track:1", "GET"),
        ("/v1/playlists/p:a/recommendations", "GET"),
        ("/v1/tokens/v1-0.1", "GET"),
        ("/", "GET"),
    ] {
        let reply = server.post(path, "application/json", "{}");
        assert_eq!((reply.status, &reply.headers["allow"]), (405, &allow.parse().unwrap()), "{path}");
    }
    assert_eq!(server.get("/v1/recommendations").headers["allow"], "POST");
    // Slashes and escapes inside of ids.
    let odd = json!({"v": 1, "type": "track_added", "playlist": "p/q r/ü?", "track": {"uri": "http://x/y#1"}, "at": AT});
    server.events(&odd);
    assert_eq!(server.get("/v1/playlists/p/q%20r/%C3%BC%3F").body["playlist"]["uri"], "p/q r/ü?");
    assert_eq!(server.get("/v1/tracks/http://x/y%231").body["playlists"], 1);
    assert_eq!(server.get("/v1/tracks/http%3A%2F%2Fx%2Fy%231/neighbours").body["playlists"], 1);
    let absent = server.get("/v1/tracks/http://x/y%231/with/a/b%2Fwith%2Fc").body;
    assert!(absent["detail"].as_str().unwrap().contains("a/b/with/c"), "{absent}");
    assert_eq!(server.get("/v1/tracks/http://x/y%231/with/http:%2F%2Fx%2Fy%231").body["shared"], 1);
}
