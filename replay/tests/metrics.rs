//! The metrics beside trec_eval's, which others wrote, on many made-up lists.
#![allow(clippy::unwrap_used, reason = "clippy does not see helpers of tests as tests")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use segue_replay::evaluate::score;

/// The Python that `scripts/setup tests` put trec_eval into.
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

/// Reads [[list, truth], …], best first, and prints trec_eval's R-precision, NDCG and reciprocal rank of the first
/// 500 of each list.
const TREC: &str = r#"
import json, pytrec_eval, sys
cases = json.load(sys.stdin)
run = {str(n): {str(track): float(len(ranked) - i) for i, track in enumerate(ranked[:500])} for n, (ranked, _) in enumerate(cases)}
truth = {str(n): {str(track): 1 for track in tracks} for n, (_, tracks) in enumerate(cases)}
evaluator = pytrec_eval.RelevanceEvaluator(truth, {"Rprec", "ndcg_cut.500", "recip_rank"})
found = evaluator.evaluate(run)
print(json.dumps([[found[str(n)][m] for m in ("Rprec", "ndcg_cut_500", "recip_rank")] for n in range(len(cases))]))
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
    let mut trec = Command::new(python());
    let mut trec =
        trec.args(["-c", TREC]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python");
    let written = trec.stdin.take().unwrap().write_all(serde_json::to_string(&cases).unwrap().as_bytes());
    let said = trec.wait_with_output().unwrap();
    written.unwrap();
    let said: Vec<Vec<f64>> = serde_json::from_slice(&said.stdout).expect("numbers");
    assert_eq!(said.len(), cases.len());
    let mut without = 0;
    for ((ranked, truth), said) in cases.iter().zip(said) {
        let found = score(ranked, truth, |_| None);
        let hit = (1.0 / said[2]).round();
        let clicks = if said[2] > 0.0 { ((hit - 1.0) / 10.0).floor() } else { 51.0 };
        without += usize::from(clicks > 50.0);
        for (ours, theirs) in [
            (found.r_precision, said[0]),
            (found.r_precision_artists, said[0]),
            (found.ndcg, said[1]),
            (found.clicks, clicks),
        ] {
            assert!((ours - theirs).abs() < 1e-6, "{found:?} and {said:?} of {ranked:?}, {truth:?}");
        }
    }
    assert!((20..480).contains(&without), "{without} lists without a hit");
}
