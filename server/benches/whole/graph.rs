//! The graph of co-occurrence: all rows after a load, then kept up beside events.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use segue_dataflow::edit::Edit;
use segue_dataflow::event::Change;
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::neighbours::{OPERATORS, Stats};
use segue_dataflow::settings::{Neighbours, Recommend, Settings};
use segue_dataflow::workers::Batch;
use segue_replay::generate::Edits;

use crate::asker::{Asker, until};
use crate::corpus::{Corpus, SEED};
use crate::csr::Csr;
use crate::load::{feed, start};

use crate::questions::workers_s;
use crate::table::{Table, ms, quantile};
use crate::watch::Watch;

const EVENTS_PER_S: f64 = 2_000.0;
const BESIDE: Duration = Duration::from_secs(30);
/// Events whose rows are counted anew over static arrays.
const RECOUNTED: usize = 300;

/// Seconds that each operator has worked so far.
fn busy(stats: &Stats) -> [f64; 4] {
    [0, 1, 2, 3].map(|i| stats.busy_us[i].load(Relaxed) as f64 / 1e6)
}

pub fn measure(corpus: &Corpus, table: &mut Table) -> anyhow::Result<()> {
    let rules = Neighbours { keep: 100, ..Neighbours::default() };
    let csr = Csr::new(corpus.pairs());
    let watch = Arc::new(Watch::default());
    let engine = start(Arc::clone(&watch) as _, Settings { neighbours: rules, ..Settings::default() })?;
    let next = feed(corpus, &engine)?;
    let loaded = watch.wait(|seen| seen.next < next).as_of;
    let (began, before, is_built) = (Instant::now(), workers_s(), AtomicBool::new(false));
    let (took, used, asked) = std::thread::scope(|scope| {
        let asker = scope
            .spawn(|| Asker::new(&engine, &csr).ours_beside(Recommend::plain(), |_| !is_built.load(Relaxed)));
        drop(watch.wait(|seen| seen.graph < loaded));
        let (took, used) = (began.elapsed().as_secs_f64(), workers_s() - before);
        is_built.store(true, Relaxed);
        let asked = asker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        asked.map(|asked| (took, used, asked))
    })?;
    let (stats, _) = engine.graph();
    let (rows, visited) = (stats.rows.load(Relaxed), stats.visited.load(Relaxed) as f64);
    let built = busy(&stats);
    table.row("graph: all rows after the load, while serving", format!("{rows} rows in {took:.1} s"), "", "");
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| ms(quantile(&asked, share)));
    table.note(&format!("{} recommendations meanwhile, p50 {p50}, p90 {p90}, p99 {p99}", asked.len()));
    let rate = visited / used / 1e6;
    table.row(
        "… visited entries a second of the workers' time on a core",
        format!("{rate:.0} M"),
        "≥ 50 M",
        if rate >= 50.0 { "kept" } else { "**missed**" },
    );
    table.note(&operators(&built, 1.0, "s"));

    // Epochs that passed meanwhile are behind by nothing that an event has done.
    let now = watch.wait(|_| false).as_of;
    drop(watch.wait(|seen| seen.graph < now));
    drop(watch.lags());
    let (recounts, began) = (stats.recounts.load(Relaxed), Instant::now());
    let mut fed = 0;
    for event in Edits::new(SEED, corpus.playlists) {
        until(began + Duration::from_secs_f64(fed as f64 / EVENTS_PER_S));
        if began.elapsed() > BESIDE {
            break;
        }
        let edits = vec![Edit::new(next + fed, &event)];
        fed += 1;
        engine.feed(Batch { edits, partition: 0, next: next + fed })?;
    }
    let last = watch.wait(|seen| seen.next < next + fed).as_of;
    drop(watch.wait(|seen| seen.graph < last));
    let lags = watch.lags();
    let kept: Vec<f64> = busy(&stats).iter().zip(built).map(|(now, then)| now - then).collect();
    let event = kept.iter().sum::<f64>() / fed as f64;
    table.bound("graph: behind answers at 2,000 events/s, p99", quantile(&lags, 0.99), 0.5, ms);
    table.note(&format!("p50 {}, p90 {}", ms(quantile(&lags, 0.5)), ms(quantile(&lags, 0.9))));
    let (recount, arrays) = recounting(corpus, &csr, &rules);
    table.ratio("graph: an event, beside counting anew the rows it touches", event, recount, 0.05, ms);
    table.note(&format!("over static arrays, {arrays:.0} M visited entries a second"));
    let share = |count: u64| count as f64 / fed as f64;
    table.note(&format!(
        "{}; an event: {:.1} notes, {:.1} questions, {:.2} of them found, {:.3} rows counted anew",
        operators(&kept, 1e6 / fed as f64, "µs"),
        share(stats.notes.load(Relaxed)),
        share(stats.questions.load(Relaxed)),
        share(stats.found.load(Relaxed)),
        share(stats.recounts.load(Relaxed) - recounts),
    ));
    engine.stop().map_err(anyhow::Error::msg)
}

/// What each operator took.
fn operators(took: &[f64], unit: f64, name: &str) -> String {
    let each =
        OPERATORS.iter().zip(took).map(|(operator, took)| format!("{operator} {:.1} {name}", took * unit));
    each.collect::<Vec<_>>().join(", ")
}

/// What it takes to count anew the rows that an event touches, over static arrays, and how many million entries
/// are visited for it in a second.
fn recounting(corpus: &Corpus, csr: &Csr, rules: &Neighbours) -> (f64, f64) {
    let edits = Edits::new(SEED, corpus.playlists).filter_map(|event| match &event.change {
        Change::TrackAdded { playlist, track } => Some((PlaylistId::of(playlist), TrackId::of(&track.uri))),
        Change::TrackRemoved { playlist, track } => Some((PlaylistId::of(playlist), TrackId::of(track))),
        _ => None,
    });
    let touched: Vec<Vec<TrackId>> =
        edits.take(RECOUNTED).map(|(playlist, track)| csr.touched(playlist, track, rules)).collect();
    let began = Instant::now();
    let visited: u64 = touched.iter().flatten().map(|track| csr.recount(*track, rules)).sum();
    let took = began.elapsed().as_secs_f64();
    (took / RECOUNTED as f64, visited as f64 / took / 1e6)
}
