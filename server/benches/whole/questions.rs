//! Recommendations from the running engine, beside the same over static arrays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use segue_dataflow::edit::Edit;
use segue_dataflow::settings::Recommend;
use segue_dataflow::workers::Batch;
use segue_replay::generate::Edits;

use crate::asker::{Asker, until};
use crate::corpus::{Corpus, SEED};
use crate::csr::Csr;
use crate::load::Loaded;
use crate::server::processor_s;
use crate::table::{Table, ms, quantile};

const ALONE: usize = 1_000;
const BESIDE: Duration = Duration::from_secs(20);
const EVENTS_PER_S: f64 = 2_000.0;

/// Processor seconds that timely's workers have used so far.
pub fn workers_s() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).ok();
    let workers = tasks.filter_map(stat).filter(|stat| stat.contains("(timely:"));
    workers.map(|stat| processor_s(&stat)).sum()
}

/// Plain kNN, alone and beside events; `bound` times what static arrays take.
pub fn measure(
    corpus: &Corpus,
    loaded: &Loaded,
    label: &str,
    bound: f64,
    table: &mut Table,
) -> anyhow::Result<()> {
    let csr = Csr::new(corpus.pairs());
    let mut asker = Asker::new(&loaded.engine, &csr);
    let lasts = |since| since < BESIDE;
    asker.alone(100)?;
    let mut row = |what: &str, (ours, theirs): (Vec<f64>, Vec<f64>)| {
        let note = format!(
            "p50 {} (arrays {}), p99 {} ({})",
            ms(quantile(&ours, 0.5)),
            ms(quantile(&theirs, 0.5)),
            ms(quantile(&ours, 0.99)),
            ms(quantile(&theirs, 0.99))
        );
        table.ratio(&format!("{what}, p90"), quantile(&ours, 0.9), quantile(&theirs, 0.9), bound, ms);
        table.note(&note);
    };
    row(&format!("{label}recommendation, 5 seeds, alone"), asker.alone(ALONE)?);
    let calm = asker.ours_beside(Recommend::plain(), lasts)?;
    let calm_scored = asker.ours_beside(Recommend::default(), lasts)?;
    drop(loaded.watch.lags());
    let stop = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(corpus, loaded, &stop));
        let (before, began) = (workers_s(), Instant::now());
        let beside = asker.both_beside(lasts);
        let workers = (workers_s() - before) / began.elapsed().as_secs_f64();
        let scored = asker.ours_beside(Recommend::default(), lasts);
        stop.store(true, Ordering::Relaxed);
        let fed = feeder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        loaded.engine.wait(0, loaded.next + fed);
        beside.and_then(|(ours, theirs)| Ok((ours, theirs, workers, scored?)))
    })?;
    let (ours, theirs, workers, scored) = beside;
    let p90 = |with: &[f64], without: &[f64]| (quantile(with, 0.9), quantile(without, 0.9));
    let (plain, all) = (p90(&ours, &calm), p90(&scored, &calm_scored));
    row("… both at 300 a second beside 2,000 events/s", (ours, theirs));
    table.note(&format!("the workers use {:.0} % of a core", workers * 100.0));
    table.ratio("… at 300 a second with 2,000 events/s, beside without, p90", plain.0, plain.1, 2.0, ms);
    table.ratio("… the same with all of the scoring", all.0, all.1, 2.0, ms);
    let lags = loaded.watch.lags();
    table.bound("… and how far the graph is behind answers meanwhile, p99", quantile(&lags, 0.99), 0.5, ms);
    Ok(())
}

/// All of the scoring.
pub fn scoring(corpus: &Corpus, loaded: &Loaded, table: &mut Table) -> anyhow::Result<()> {
    let csr = Csr::new(corpus.pairs());
    let mut asker = Asker::new(&loaded.engine, &csr);
    let titles = corpus.titles();
    let all = [1, 5, 25, 100].map(|seeds| (seeds, &[][..], "")).into_iter();
    for (seeds, titles, what) in all.chain([1, 5].map(|seeds| (seeds, &titles[..], " and a title"))) {
        let (full, plain) = asker.scored(seeds, titles)?;
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let what = format!("all of the scoring beside plain kNN, {seeds} seeds{what}, mean");
        table.ratio(&what, mean(&full), mean(&plain), 2.5, ms);
        let [p50, p90] = [0.5, 0.9].map(|q| (ms(quantile(&full, q)), ms(quantile(&plain, q))));
        table.note(&format!("p50 {} ({}), p90 {} ({})", p50.0, p50.1, p90.0, p90.1));
    }
    Ok(())
}

/// Later edits of the same playlists, one by one at the rate.
fn feed(corpus: &Corpus, loaded: &Loaded, stop: &AtomicBool) -> anyhow::Result<u64> {
    let (began, mut fed) = (Instant::now(), 0);
    for event in Edits::new(SEED, corpus.playlists) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        until(began + Duration::from_secs_f64(fed as f64 / EVENTS_PER_S));
        let edits = vec![Edit::new(loaded.next + fed, &event)];
        fed += 1;
        loaded.engine.feed(Batch { edits, partition: 0, next: loaded.next + fed })?;
    }
    Ok(fed)
}
