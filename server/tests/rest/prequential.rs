//! Prequential evaluation: additions of which it is known where they would have been recommended.

use serde_json::{Value, json};

use crate::harness::{Server, until};

fn added(playlist: &str, track: &str) -> Value {
    json!({"v": 1, "type": "track_added", "playlist": playlist, "track": {"uri": track}, "at": "2026-01-01T00:00:00Z"})
}

/// Twenty playlists with a, b and c; one of them with a and b only.
fn loaded(folder: &std::path::Path, share: &str) -> Server {
    let server = Server::start_with(folder, &[("SEGUE__PREQUENTIAL__SHARE", share)]);
    let put = |n: usize| {
        let tracks: Vec<Value> =
            ["a", "b", "c"][..if n == 0 { 2 } else { 3 }].iter().map(|uri| json!({"uri": uri})).collect();
        json!({"v": 1, "type": "playlist_put", "playlist": format!("p:{n}"), "tracks": tracks, "at": "2026-01-01T00:00:00Z"})
    };
    server.events(&(0..20).map(put).collect());
    server
}

#[test]
fn additions_whose_rank_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let server = loaded(folder.path(), "1");
    let report = |server: &Server| server.state()["prequential"].clone();
    assert_eq!(report(&server), Value::Null, "playlists that are put are no additions");
    let asked = |server: &Server, number: u64| {
        until(&format!("{number} additions looked at"), || {
            Some(report(server)).filter(|report| report["asked"] == number)
        })
    };
    // The only track that its neighbours have more.
    server.events(&json!(added("p:0", "c")));
    let first = asked(&server, 1);
    assert_eq!([&first["hit_rate_10"], &first["mean_reciprocal_rank"]], [1.0, 1.0]);
    // It is there already; the second playlist is not there yet. A track that nobody has cannot be foreseen.
    server.events(&json!(added("p:0", "c")));
    server.events(&json!(added("p:new", "a")));
    server.events(&json!(added("p:0", "d")));
    asked(&server, 2);
    // b and c are in as many of the playlists with a.
    let before = server.get("/v1/playlists/p:new/recommendations?limit=10").body;
    let mut listed = before["recommendations"].as_array().unwrap().iter();
    let rank = 1 + listed.position(|one| one["track"]["uri"] == "c").unwrap();
    assert!(rank <= 2, "{before}");
    server.events(&json!(added("p:new", "c")));
    let all = asked(&server, 3);
    let expected = (1.0 + 1.0 / rank as f64) / 3.0;
    assert!((all["mean_reciprocal_rank"].as_f64().unwrap() - expected).abs() < 1e-9, "{all}");
    assert!((all["hit_rate_100"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9, "{all}");
    assert_eq!((&all["skipped"], all["by_seeds"].as_array().unwrap().len()), (&json!(0), 1));
    assert_eq!((&all["by_seeds"][0]["seeds"], &all["by_seeds"][0]["asked"]), (&json!("1-4"), &json!(3)));
    for (metric, value) in [
        ("segue_prequential_additions_total{seeds=\"1-4\"}", "3"),
        ("segue_prequential_hits_total{seeds=\"1-4\",within=\"10\"}", "2"),
        ("segue_prequential_hits_total{seeds=\"1-4\",within=\"100\"}", "2"),
    ] {
        server.metric(metric, value);
    }
    // By hand: 20 playlists hold b, 21 c, 1 d. Shown were c alone, nothing, and what p:new does not hold.
    let near = |found: &Value, expected: f64| {
        let found = found.as_f64().unwrap();
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}: {all}");
    };
    let bias = (((f64::ln(21.0) + f64::ln(21.0) + f64::ln(2.0)) / 3.0 - f64::ln(21.0)) / 3.0).exp();
    near(&all["popularity_bias"], bias);
    near(&all["catalogue_shown"], 3.0 / 4.0);

    // A longer playlist is of another class. It lacks c and d of 33 tracks, and nobody who has a and b lacks c.
    let mut tracks: Vec<Value> = (0..29).map(|n| json!({"uri": format!("u:{n}")})).collect();
    tracks.extend([json!({"uri": "a"}), json!({"uri": "b"})]);
    server.events(&json!({"v": 1, "type": "playlist_put", "playlist": "p:long", "tracks": tracks, "at": "2026-01-01T00:00:00Z"}));
    server.events(&json!(added("p:long", "c")));
    let all = asked(&server, 4);
    let long = &all["by_seeds"][1];
    assert_eq!(
        (&long["seeds"], &long["asked"], &long["hit_rate_10"]),
        (&json!("25-99"), &json!(1), &json!(1.0))
    );
    let long_bias = ((f64::ln(22.0) + f64::ln(2.0)) / 2.0 - f64::ln(22.0)).exp();
    let metric = |name: &str| {
        let found = until(name, || server.gauge(&format!("segue_prequential_{name}")));
        json!(found)
    };
    for (class, (place, rank, bias, shown)) in
        [("1-4", (0, expected, bias, 3.0 / 33.0)), ("25-99", (1, 1.0, long_bias, 2.0 / 33.0))]
    {
        let rates = &all["by_seeds"][place];
        for (name, expected) in
            [("mean_reciprocal_rank", rank), ("popularity_bias", bias), ("catalogue_shown", shown)]
        {
            near(&rates[name], expected);
            near(&metric(&format!("{name}{{seeds=\"{class}\"}}")), expected);
        }
    }
    near(&all["catalogue_shown"], 3.0 / 33.0);
    for name in ["mean_reciprocal_rank", "popularity_bias", "catalogue_shown"] {
        near(&metric(&format!("{name}{{seeds=\"all\"}}")), all[name].as_f64().unwrap());
    }
    server.metric("segue_prequential_hits_total{seeds=\"25-99\",within=\"10\"}", "1");

    // What was on the log at the start is not looked at again.
    assert_eq!(server.stop(), Some(0));
    let server = Server::start_with(folder.path(), &[("SEGUE__PREQUENTIAL__SHARE", "1")]);
    server.events(&json!({"v": 1, "type": "playlist_titled", "playlist": "p:1", "title": "One", "at": "2026-01-01T00:00:00Z"}));
    assert_eq!(report(&server), Value::Null);
    server.events(&json!(added("p:1", "d")));
    asked(&server, 1);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_share_of_them_or_none() {
    let additions: Vec<Value> =
        (0..400).map(|n| added(&format!("p:{}", n % 20), &format!("t:{n}"))).collect();
    for (share, least, most) in [("0.25", 60, 140), ("0", 0, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let server = loaded(folder.path(), share);
        additions.chunks(20).for_each(|some| drop(server.events(&json!(some))));
        // All that are looked at, or left out.
        let looked_at = || {
            let state = &server.state()["prequential"];
            state["asked"].as_u64().unwrap_or(0) + state["skipped"].as_u64().unwrap_or(0)
        };
        let number = until("enough of them", || Some(looked_at()).filter(|number| *number >= least));
        assert!(number <= most, "{number} of 400 at {share}");
        assert_eq!(server.stop(), Some(0));
    }
}
