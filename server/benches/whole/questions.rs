//! Recommendations from the running engine, beside the same over static arrays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

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
use crate::load::Loaded;
use crate::table::{Table, ms, quantile};

const LIMIT: usize = 100;
const ALONE: usize = 1_000;
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
    to: SyncSender<(Instant, Answer)>,
    answers: Receiver<(Instant, Answer)>,
}

impl Asker<'_> {
    /// Five tracks of one playlist.
    fn seeds(&mut self) -> Vec<TrackId> {
        loop {
            let tracks = self.csr.playlist(self.dice.random_range(0..usize::MAX));
            if tracks.len() > 25 {
                let mut seeds = Vec::new();
                while seeds.len() < 5 {
                    let track = tracks[self.dice.random_range(0..tracks.len())];
                    if !seeds.contains(&track) {
                        seeds.push(track);
                    }
                }
                return seeds;
            }
        }
    }

    fn ask(&self, seeds: Vec<TrackId>) -> anyhow::Result<()> {
        let to = self.to.clone();
        let question =
            Recommend { seeds: Seeds::Tracks(seeds), title: None, exclude: Vec::new(), limit: LIMIT };
        let reply = Box::new(move |answer| drop(to.send((Instant::now(), answer))));
        Ok(self.loaded.engine.ask(Question::Recommend(question), reply)?)
    }

    fn reference(&self, seeds: &[TrackId]) -> (Vec<TrackId>, f64) {
        let began = Instant::now();
        let tracks = self.csr.recommend(seeds, &settings::Recommend::default(), LIMIT);
        (tracks, began.elapsed().as_secs_f64())
    }

    /// One at a time, the reference in between; both must say the same.
    fn alone(&mut self, count: usize) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let seeds = self.seeds();
            let began = Instant::now();
            self.ask(seeds.clone())?;
            let (at, answer) = self.answers.recv()?;
            ours.push(at.duration_since(began).as_secs_f64());
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

    /// At a rate, whether or not the last is answered; now and then the reference.
    fn beside(&mut self) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let (mut sent, mut theirs) = (Vec::new(), Vec::new());
        let (began, mut ours) = (Instant::now(), Vec::new());
        let mut due = began;
        while due - began < BESIDE {
            due += Duration::from_secs_f64(-(1.0 - self.dice.random::<f64>()).ln() / QUESTIONS_PER_S);
            until(due);
            let seeds = self.seeds();
            let at = Instant::now();
            let question = Recommend {
                seeds: Seeds::Tracks(seeds.clone()),
                title: None,
                exclude: Vec::new(),
                limit: LIMIT,
            };
            let (took, done) = sync_channel(1);
            let reply = Box::new(move |_| took.send(at.elapsed().as_secs_f64()).unwrap_or(()));
            self.loaded.engine.ask(Question::Recommend(question), reply)?;
            sent.push(done);
            if sent.len() % 10 == 0 {
                theirs.push(self.reference(&seeds).1);
            }
        }
        for answer in sent {
            ours.push(answer.recv()?);
        }
        Ok((ours, theirs))
    }
}

pub fn measure(corpus: &Corpus, loaded: &Loaded, table: &mut Table) -> anyhow::Result<()> {
    let csr = Csr::new(corpus.pairs());
    let (to, answers) = sync_channel(1);
    let mut asker = Asker { loaded, csr: &csr, dice: ChaCha8Rng::seed_from_u64(5), to, answers };
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
    row(
        "recommendation, 5 seeds, alone",
        asker.alone(std::env::var("ALONE").ok().and_then(|n| n.parse().ok()).unwrap_or(ALONE))?,
    );
    let stop = AtomicBool::new(false);
    let beside = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(corpus, loaded, &stop));
        let beside = asker.beside();
        stop.store(true, Ordering::Relaxed);
        let fed = feeder.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        loaded.watch.wait(loaded.next + fed);
        beside
    })?;
    row("… 300 a second beside 2,000 events/s", beside);
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
