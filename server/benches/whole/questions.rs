//! Recommendations from the running engine, beside the same over static arrays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::edit::Edit;
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::{Answer, Body, Question, Recommend, Seeds};
use segue_dataflow::settings;
use segue_dataflow::workers::Batch;
use segue_replay::generate::Edits;

use crate::corpus::{Corpus, SEED};
use crate::csr::Csr;
use crate::load::{Loaded, READERS};
use crate::server::processor_s;
use crate::table::{Table, ms, quantile};

const LIMIT: usize = 100;
const ALONE: usize = 1_000;
const SCORED: usize = 500;
const BESIDE: Duration = Duration::from_secs(20);
const QUESTIONS_PER_S: f64 = 300.0;
const EVENTS_PER_S: f64 = 2_000.0;

/// Waits until a moment.
pub fn until(due: Instant) {
    while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

struct Asker<'a> {
    loaded: &'a Loaded,
    csr: &'a Csr,
    dice: ChaCha8Rng,
}

impl Asker<'_> {
    /// Some tracks of one playlist.
    fn seeds(&mut self, number: usize) -> Vec<TrackId> {
        loop {
            let tracks = self.csr.playlist(self.dice.random_range(0..usize::MAX));
            if tracks.len() > number + 20 {
                let mut seeds = Vec::new();
                while seeds.len() < number {
                    let track = tracks[self.dice.random_range(0..tracks.len())];
                    if !seeds.contains(&track) {
                        seeds.push(track);
                    }
                }
                return seeds;
            }
        }
    }

    /// Asks the engine; `told` gets the answer and how long it took.
    fn ask(
        &self,
        seeds: Vec<TrackId>,
        knobs: settings::Recommend,
        told: impl FnOnce(Answer, f64) + Send + 'static,
    ) -> anyhow::Result<()> {
        let knobs = Some(Box::new(knobs));
        let question = Recommend { knobs, ..Recommend::new(Seeds::Tracks(seeds), LIMIT) };
        let began = Instant::now();
        let reply = Box::new(move |answer| told(answer, began.elapsed().as_secs_f64()));
        Ok(self.loaded.engine.ask(Question::Recommend(question), reply)?)
    }

    fn reference(&self, seeds: &[TrackId]) -> (Vec<TrackId>, f64) {
        let began = Instant::now();
        let tracks = self.csr.recommend(seeds, &settings::Recommend::plain(), LIMIT);
        (tracks, began.elapsed().as_secs_f64())
    }

    /// One at a time, the reference in between; both must say the same.
    fn alone(&mut self, count: usize) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let seeds = self.seeds(5);
            let (to, told) = sync_channel(1);
            // Nobody waits for it only if the run has failed.
            self.ask(seeds.clone(), settings::Recommend::plain(), move |answer, took| {
                to.send((answer, took)).unwrap_or(());
            })?;
            let (answer, took) = told.recv()?;
            ours.push(took);
            let (expected, took) = self.reference(&seeds);
            theirs.push(took);
            let Body::Recommendations(Some(found)) = answer.body else { anyhow::bail!("no recommendations") };
            let found: Vec<TrackId> = found.tracks.iter().map(|one| TrackId::of(&one.track.uri)).collect();
            anyhow::ensure!(
                found[..expected.len()] == expected,
                "the engine and the arrays differ for {seeds:?}"
            );
            until(Instant::now() + Duration::from_millis(4)); // as a question comes in practice: to an idle engine
        }
        Ok((ours, theirs))
    }

    /// All of the scoring, and plain kNN in between.
    fn scored(&mut self, seeds: usize) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let (mut full, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..SCORED {
            let seeds = self.seeds(seeds);
            for (knobs, all) in
                [(settings::Recommend::default(), &mut full), (settings::Recommend::plain(), &mut plain)]
            {
                let (to, told) = sync_channel(1);
                self.ask(seeds.clone(), knobs, move |_, took| to.send(took).unwrap_or(()))?;
                all.push(told.recv()?);
            }
        }
        Ok((full, plain))
    }

    /// At a rate, whether or not the last is answered; how long each took.
    fn beside(
        &mut self,
        ask: impl Fn(&Self, Vec<TrackId>, SyncSender<f64>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<f64>> {
        let (began, mut sent) = (Instant::now(), Vec::new());
        let mut due = began;
        while due - began < BESIDE {
            due += Duration::from_secs_f64(-(1.0 - self.dice.random::<f64>()).ln() / QUESTIONS_PER_S);
            let seeds = self.seeds(5);
            until(due);
            let (to, told) = sync_channel(1);
            ask(self, seeds, to)?;
            sent.push(told);
        }
        Ok(sent.into_iter().map(|told| told.recv()).collect::<Result<_, _>>()?)
    }

    /// The engine at the rate.
    fn ours_beside(&mut self) -> anyhow::Result<Vec<f64>> {
        self.beside(|asker, seeds, to| {
            let plain = settings::Recommend::plain();
            asker.ask(seeds, plain, move |_, took| to.send(took).unwrap_or(()))
        })
    }

    /// The engine, and then the arrays on as many threads, under the same load.
    fn both_beside(&mut self) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let ours = self.ours_beside()?;
        let (csr, (questions, asked)) =
            (self.csr, bounded::<(Vec<TrackId>, Instant, SyncSender<f64>)>(1_000));
        std::thread::scope(|scope| {
            for _ in 0..READERS {
                let asked = asked.clone();
                scope.spawn(move || {
                    for (seeds, began, to) in asked {
                        csr.recommend(&seeds, &settings::Recommend::plain(), LIMIT);
                        to.send(began.elapsed().as_secs_f64()).unwrap_or(());
                    }
                });
            }
            let theirs = self.beside(|_, seeds, to| Ok(questions.send((seeds, Instant::now(), to))?));
            drop(questions);
            Ok((ours, theirs?))
        })
    }
}

/// Processor seconds that timely's workers have used so far.
fn workers_s() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).ok();
    let workers = tasks.filter_map(stat).filter(|stat| stat.contains("(timely:"));
    workers.map(|stat| processor_s(&stat)).sum()
}

pub fn measure(corpus: &Corpus, loaded: &Loaded, table: &mut Table) -> anyhow::Result<()> {
    let csr = Csr::new(corpus.pairs());
    let mut asker = Asker { loaded, csr: &csr, dice: ChaCha8Rng::seed_from_u64(5) };
    asker.alone(100)?;
    let mut row = |what: &str, (ours, theirs): (Vec<f64>, Vec<f64>)| {
        let note = format!(
            "p50 {} (arrays {}), p99 {} ({})",
            ms(quantile(&ours, 0.5)),
            ms(quantile(&theirs, 0.5)),
            ms(quantile(&ours, 0.99)),
            ms(quantile(&theirs, 0.99))
        );
        table.ratio(&format!("{what}, p90"), quantile(&ours, 0.9), quantile(&theirs, 0.9), 1.5, ms);
        table.note(&note);
    };
    row("recommendation, 5 seeds, alone", asker.alone(ALONE)?);
    let calm = asker.ours_beside()?;
    drop(loaded.watch.lags());
    let stop = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(corpus, loaded, &stop));
        let (before, began) = (workers_s(), Instant::now());
        let beside = asker.both_beside();
        let workers = (workers_s() - before) / began.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        let fed = feeder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        loaded.engine.wait(0, loaded.next + fed);
        beside.map(|(ours, theirs)| (ours, theirs, workers))
    })?;
    let (ours, theirs, workers) = beside;
    let ratio = (quantile(&ours, 0.9), quantile(&calm, 0.9));
    row("… both at 300 a second beside 2,000 events/s", (ours, theirs));
    table.note(&format!("the workers use {:.0} % of a core", workers * 100.0));
    table.ratio("… at 300 a second with 2,000 events/s, beside without, p90", ratio.0, ratio.1, 2.0, ms);
    let lags = loaded.watch.lags();
    table.bound("… and how far the graph is behind answers meanwhile, p99", quantile(&lags, 0.99), 0.5, ms);
    for seeds in [1, 5, 25, 100] {
        let (full, plain) = asker.scored(seeds)?;
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let what = format!("all of the scoring beside plain kNN, {seeds} seeds, mean");
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
