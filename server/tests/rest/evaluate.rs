//! `segue evaluate` by the binary: made-up playlists, on which segue is to find more than any plain method, real ones
//! where they are at hand, and what it refuses.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::harness::segue;

fn evaluate(data: &Path, more: &[&str]) -> Output {
    segue().arg("evaluate").arg("--data").arg(data).args(more).output().unwrap()
}

fn json(done: &Output) -> Value {
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("one JSON object")
}

fn generate(folder: &Path, playlists: u32) {
    let mut generate = segue();
    generate.args(["generate", "--json", "--playlists", &playlists.to_string(), "--out"]).arg(folder);
    assert_eq!(json(&generate.output().unwrap())["playlists"], playlists);
}

/// How many standard errors lie between zero and this difference.
fn errors(difference: &Value) -> f64 {
    difference["mean"].as_f64().unwrap() / difference["se"].as_f64().unwrap()
}

const PLAIN: [&str; 4] = ["popularity", "item cosine", "playlist kNN", "Turtles kNN"];

/// On average over the categories with seeds; by tracks alone as well, as plain methods know no titles.
#[test]
fn on_made_up_playlists_segue_beats_every_plain_method() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 3_000);
    let report = json(&evaluate(folder.path(), &["--json"]));
    assert_eq!(report["protocol"], "recsys18");
    let index = report["index"]["playlists"].as_u64().unwrap();
    assert_eq!(index + report["held_out"].as_u64().unwrap(), 3_000);
    let categories = report["categories"].as_array().unwrap();
    assert_eq!((categories.len(), report["lacking"].as_array().unwrap().len()), (10, 0), "{report}");
    for row in categories {
        assert!(row["queries"].as_u64().unwrap() >= 10);
        let seeded = row["category"].as_u64().unwrap() >= 2;
        for method in PLAIN.into_iter().chain(["segue"]) {
            let found = &row["methods"][method];
            for (metric, most) in [("r_precision", 1.0), ("ndcg", 1.0), ("clicks", 51.0)] {
                let (mean, se) =
                    (found[metric]["mean"].as_f64().unwrap(), found[metric]["se"].as_f64().unwrap());
                assert!(
                    mean >= 0.0 && mean <= most && se > 0.0 && se < most / 4.0,
                    "{method} {metric}: {row}"
                );
            }
            let [plain, artists] = ["r_precision", "r_precision_artists"].map(|m| found[m]["mean"].as_f64());
            assert!(plain <= artists);
            let minus = &row["segue_minus"][method]["ndcg"];
            assert!(method == "segue" || !seeded || minus["mean"].is_number(), "{row}");
        }
    }
    let by_tracks = json(&evaluate(folder.path(), &["--json", "--no-titles"]));
    assert_eq!((&report["titles"], &by_tracks["titles"]), (&true.into(), &false.into()));
    // The same queries, but for those that show nothing now.
    let seeded = by_tracks["categories"].as_array().unwrap();
    assert_eq!(seeded.len(), 9);
    for (with, without) in categories[1..].iter().zip(seeded) {
        assert_eq!(with["name"], without["name"]);
        for method in PLAIN.into_iter().chain(["segue"]) {
            let same = with["methods"][method] == without["methods"][method];
            let shows_none = !with["name"].as_str().unwrap().contains("title");
            assert!(same || method == "segue" && !shows_none, "{method}: {with} and {without}");
        }
    }
    // Paired: on the same queries. The credit for artists brings playlist kNN near: one seed has 2.2 errors.
    let other =
        ["2", "3"].map(|seed| json(&evaluate(folder.path(), &["--json", "--no-titles", "--seed", seed])));
    for (report, method) in
        [&report, &by_tracks].into_iter().chain(&other).flat_map(|r| PLAIN.map(|m| (r, m)))
    {
        let more = &report["mean"]["segue_minus"][method];
        let ahead = |metric: &str| errors(&more[metric]);
        assert!(
            ahead("r_precision") > 2.0 && ahead("ndcg") > 2.0 && ahead("clicks") < -2.0,
            "{method}: {more}"
        );
        assert!(ahead("r_precision_artists") > 0.0, "{method}: {more}");
    }
    let [knn, popular] = ["playlist kNN", "popularity"]
        .map(|method| report["mean"]["methods"][method]["ndcg"]["mean"].as_f64().unwrap());
    assert!(knn > 1.5 * popular, "{knn} and {popular}");
}

#[test]
fn the_same_seed_gives_the_same_report_and_a_table_fits_the_screen() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 400);
    let report = |more: &[&str]| json(&evaluate(folder.path(), &[&["--json", "--seed", "5"], more].concat()));
    let first = report(&[]);
    assert_eq!(report(&[]), first);
    let lacking = first["lacking"].as_array().unwrap();
    assert!(lacking.iter().any(|lack| lack["category"] == 10 && lack["needs"] == 10), "{first}");
    let fewer = report(&["--held-out", "20"]);
    assert_eq!((fewer["held_out"].as_u64(), fewer["index"]["playlists"].as_u64()), (Some(20), Some(380)));
    assert!(fewer["lacking"].as_array().unwrap().len() > lacking.len());

    let table = evaluate(folder.path(), &[]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    for part in ["4 first 5", "playlist kNN", "segue minus", "±", "not measured: 10 title, random 100"] {
        assert!(table.contains(part), "{part}: {table}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_said() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), 30);
    let none = evaluate(folder.path(), &[]);
    assert_eq!(none.status.code(), Some(1));
    let said = String::from_utf8_lossy(&none.stderr);
    assert!(said.contains("not enough playlists for any category: 1 title only: "), "{said}");
    std::fs::write(folder.path().join("a.txt"), "").unwrap();
    assert_eq!(evaluate(&folder.path().join("a.txt"), &[]).status.code(), Some(2));
    assert_eq!(evaluate(&folder.path().join("nowhere"), &[]).status.code(), Some(1));
}

#[test]
fn real_playlists_give_a_report() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mpd-format");
    if !data.exists() {
        eprintln!("skipped: {} is not there", data.display());
        return;
    }
    let report = json(&evaluate(&data, &["--json"]));
    assert_eq!(report["index"]["playlists"].as_u64().unwrap() + report["held_out"].as_u64().unwrap(), 370);
    let (measured, lacking) =
        (report["categories"].as_array().unwrap(), report["lacking"].as_array().unwrap());
    assert_eq!(measured.len() + lacking.len(), 10);
    assert!(measured.iter().any(|row| row["name"] == "first 5"), "{report}");
    assert!(measured.iter().all(|row| row["reachable"].as_f64().unwrap() < 1.0), "{report}");
}
