//! The metrics beside trec_eval's, and their errors beside scipy's: others wrote those. On many made-up lists.
#![allow(clippy::unwrap_used, reason = "clippy does not see helpers of tests as tests")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use segue_replay::evaluate::{Bootstrap, score};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The Python that `scripts/setup tests` put trec_eval and scipy into.
fn python() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, Into::into).join("segue");
    let mut there = std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("metrics-") && name.ends_with("0.5.11")
    };
    there.find(is_one).expect("run scripts/setup tests").join("bin/python")
}

/// What this script prints, given this to read.
fn python_says<T: DeserializeOwned>(script: &str, cases: &impl Serialize) -> T {
    let mut python = Command::new(python());
    let mut python =
        python.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python");
    let written = python.stdin.take().unwrap().write_all(serde_json::to_string(cases).unwrap().as_bytes());
    let said = python.wait_with_output().unwrap();
    written.unwrap();
    serde_json::from_slice(&said.stdout).expect("what the script prints")
}

/// Reads [[list, truth], …], best first, of [track, artist or null]; prints trec_eval's R-precision, NDCG and
/// reciprocal rank of the first 500 of each list, and how many artists of the truth it finds among those of the misses
/// that count for R-precision.
const TREC: &str = r#"
import json, pytrec_eval, sys
cases = [[[tuple(one) for one in part] for part in case] for case in json.load(sys.stdin)]
def trec(truths, runs, measures):
    truths = {str(n): {str(one): 1 for one in truth} for n, truth in enumerate(truths) if truth}
    runs = {str(n): {str(one): float(len(run) - i) for i, one in enumerate(run)} for n, run in enumerate(runs) if run}
    found = pytrec_eval.RelevanceEvaluator(truths, {m.replace("cut_", "cut.") for m in measures}).evaluate(runs)
    return [[found.get(str(n), {}).get(m, 0.0) for m in measures] for n in range(len(cases))]
tracks = trec(
    [[track for track, _ in truth] for _, truth in cases],
    [[track for track, _ in ranked[:500]] for ranked, _ in cases],
    ["Rprec", "ndcg_cut_500", "recip_rank"],
)
artists = trec(
    [[artist for _, artist in truth if artist is not None] for _, truth in cases],
    [[one[1] for one in ranked[:500][:len(truth)] if one not in truth and one[1] is not None] for ranked, truth in cases],
    ["num_rel_ret"],
)
print(json.dumps([a + b for a, b in zip(tracks, artists)]))
"#;

/// Reads [[playlists, groups of [playlist, value]], …]; prints the mean of the groups' means, and scipy's bootstrap's
/// standard error of it where whole playlists are drawn.
const SCIPY: &str = r#"
import json, numpy, scipy.stats, sys
def estimate(playlists, groups):
    groups = [(numpy.array([p for p, _ in group]), numpy.array([v for _, v in group])) for group in groups]
    def mean(drawn):
        times = numpy.bincount(drawn, minlength=playlists)
        return numpy.mean([numpy.average(values, weights=times[places]) for places, values in groups])
    all = numpy.arange(playlists)
    drawn = scipy.stats.bootstrap((all,), mean, n_resamples=4000, vectorized=False, method="percentile", rng=18)
    return [mean(all), drawn.standard_error]
print(json.dumps([estimate(*case) for case in json.load(sys.stdin)]))
"#;

/// The first `count` numbers of a random order of 0, 1, …, `below` - 1.
fn draw(dice: &mut ChaCha8Rng, below: u64, count: u64) -> Vec<u32> {
    let order: BTreeMap<u64, u32> = (0..below as u32).map(|track| (dice.next_u64(), track)).collect();
    order.into_values().take(count as usize).collect()
}

#[test]
fn trec_eval_says_the_same() {
    let mut dice = ChaCha8Rng::seed_from_u64(18);
    let mut cases = vec![(vec![1, 2, 3], vec![4]), ((0..600).collect(), (0..700).collect())];
    for _ in 0..500 {
        // From a few hundred tracks, so that most lists hit, to tens of thousands, so that most do not.
        let below = 1 << (9 + dice.next_u64() % 7);
        let (listed, hidden) = (1 + dice.next_u64() % 700, 1 + dice.next_u64() % 250);
        cases.push((draw(&mut dice, below, listed), draw(&mut dice, below, hidden)));
    }
    // Artists with few tracks and with many; some tracks have none.
    let artist = |track: u32| (!track.is_multiple_of(7)).then_some(track % 5 * 1_000 + track / 300);
    let named = |tracks: &[u32]| tracks.iter().map(|track| (*track, artist(*track))).collect::<Vec<_>>();
    let asked: Vec<_> = cases.iter().map(|(ranked, truth)| (named(ranked), named(truth))).collect();
    let said: Vec<Vec<f64>> = python_says(TREC, &asked);
    assert_eq!(said.len(), cases.len());
    let (mut without, mut by_artist) = (0, 0.0);
    for ((ranked, truth), said) in cases.iter().zip(said) {
        let found = score(ranked, truth, artist);
        by_artist += said[3];
        let hit = (1.0 / said[2]).round();
        let clicks = if said[2] > 0.0 { ((hit - 1.0) / 10.0).floor() } else { 51.0 };
        without += usize::from(clicks > 50.0);
        for (ours, theirs) in [
            (found.r_precision, said[0]),
            (found.r_precision_artists, said[0] + 0.25 * said[3] / truth.len() as f64),
            (score(ranked, truth, |_| None).r_precision_artists, said[0]),
            (found.ndcg, said[1]),
            (found.clicks, clicks),
        ] {
            assert!((ours - theirs).abs() < 1e-6, "{found:?} and {said:?} of {ranked:?}, {truth:?}");
        }
    }
    assert!((20..480).contains(&without), "{without} lists without a hit");
    assert!(by_artist > 1_000.0, "{by_artist} artists");
}

#[test]
fn scipy_has_the_same_errors() {
    let mut dice = ChaCha8Rng::seed_from_u64(19);
    let mut unit = || dice.next_u32() as f64 / f64::from(u32::MAX);
    // Some playlists are in all groups, some in one, and what they are worth is alike in all.
    let mut case = |playlists: usize, groups: usize| {
        let mut values = vec![Vec::new(); groups];
        for playlist in 0..playlists {
            let (shared, often) = (unit(), unit());
            for (n, group) in values.iter_mut().enumerate() {
                if n == playlist % groups || unit() < often {
                    group.push((playlist, shared + 0.5 * unit()));
                }
            }
        }
        (playlists, values)
    };
    let cases = [case(40, 1), case(60, 2), case(150, 5), case(400, 9)];
    let said: Vec<[f64; 2]> = python_says(SCIPY, &cases);
    for ((playlists, groups), [mean, se]) in cases.iter().zip(said) {
        let found = Bootstrap::new(7, *playlists).estimate(groups);
        assert!((found.mean - mean).abs() < 1e-9, "{found:?} and {mean}");
        // 1,000 draws and 4,000 have errors of 2.2 % and 1.1 % themselves.
        assert!((found.se / se - 1.0).abs() < 0.08, "{found:?} and {se} of {playlists} playlists");
    }
}
