//! Who asks: single questions, or so many a second whatever becomes of them.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::{Answer, Body, Question, Recommend, Seeds};
use segue_dataflow::settings;
use segue_dataflow::workers::Engine;

use crate::csr::Csr;
use crate::load::READERS;

const LIMIT: usize = 100;
const SCORED: usize = 500;
const QUESTIONS_PER_S: f64 = 300.0;

/// Waits until a moment.
pub fn until(due: Instant) {
    while let Some(left) = due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// Asks an engine, and static arrays.
pub struct Asker<'a> {
    engine: &'a Engine,
    csr: &'a Csr,
    dice: ChaCha8Rng,
}

impl<'a> Asker<'a> {
    /// The same questions every time.
    pub fn new(engine: &'a Engine, csr: &'a Csr) -> Self {
        Asker { engine, csr, dice: ChaCha8Rng::seed_from_u64(5) }
    }

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
        title: Option<Box<str>>,
        knobs: settings::Recommend,
        told: impl FnOnce(Answer, f64) + Send + 'static,
    ) -> anyhow::Result<()> {
        let knobs = Some(Box::new(knobs));
        let question = Recommend { knobs, title, ..Recommend::new(Seeds::Tracks(seeds), LIMIT) };
        let began = Instant::now();
        let reply = Box::new(move |answer| told(answer, began.elapsed().as_secs_f64()));
        Ok(self.engine.ask(Question::Recommend(question), reply)?)
    }

    fn reference(&self, seeds: &[TrackId]) -> (Vec<TrackId>, f64) {
        let began = Instant::now();
        let tracks = self.csr.recommend(seeds, &settings::Recommend::plain(), LIMIT);
        (tracks, began.elapsed().as_secs_f64())
    }

    /// One at a time, the reference in between; both must say the same.
    pub fn alone(&mut self, count: usize) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let seeds = self.seeds(5);
            let (to, told) = sync_channel(1);
            // Nobody waits for it only if the run has failed.
            self.ask(seeds.clone(), None, settings::Recommend::plain(), move |answer, took| {
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

    /// All of the scoring, with one of these titles if there are any, and plain kNN in between.
    pub fn scored(&mut self, seeds: usize, titles: &[Box<str>]) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let (mut full, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..SCORED {
            let seeds = self.seeds(seeds);
            let title = titles.get(self.dice.random_range(0..titles.len().max(1))).cloned();
            for (title, knobs, all) in [
                (title, settings::Recommend::default(), &mut full),
                (None, settings::Recommend::plain(), &mut plain),
            ] {
                let (to, told) = sync_channel(1);
                self.ask(seeds.clone(), title, knobs, move |_, took| to.send(took).unwrap_or(()))?;
                all.push(told.recv()?);
            }
        }
        Ok((full, plain))
    }

    /// At a rate for as long as `lasts`, whether or not the last is answered; how long each took.
    fn beside(
        &mut self,
        lasts: impl Fn(Duration) -> bool,
        ask: impl Fn(&Self, Vec<TrackId>, SyncSender<f64>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<f64>> {
        let (began, mut sent) = (Instant::now(), Vec::new());
        let mut due = began;
        while lasts(due - began) {
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
    pub fn ours_beside(
        &mut self,
        knobs: settings::Recommend,
        lasts: impl Fn(Duration) -> bool,
    ) -> anyhow::Result<Vec<f64>> {
        self.beside(lasts, |asker, seeds, to| {
            asker.ask(seeds, None, knobs, move |_, took| to.send(took).unwrap_or(()))
        })
    }

    /// The engine, and then the arrays on as many threads, under the same load.
    pub fn both_beside(&mut self, lasts: impl Fn(Duration) -> bool) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
        let ours = self.ours_beside(settings::Recommend::plain(), &lasts)?;
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
            let theirs =
                self.beside(&lasts, |_, seeds, to| Ok(questions.send((seeds, Instant::now(), to))?));
            drop(questions);
            Ok((ours, theirs?))
        })
    }
}
