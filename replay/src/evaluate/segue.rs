//! The same questions to the real engine: the index fed as events, queries answered in parallel by its readers.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};
use segue_dataflow::edit::Edit;
use segue_dataflow::event::{Change, Event, Named, Track};
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::{Answer, Body, Question, Recommend, Seeds};
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::workers::{Answers, Batch, Engine, Observer, Options, Progress};

use super::EvaluateError;
use super::corpus::{Corpus, TrackNo};
use super::metrics::{LIST, Scores, score};
use super::split::{Query, Split};

/// Entries of one batch, about.
const BATCH_ENTRIES: usize = 20_000;
/// Questions that wait for an answer at the most; the engine takes 1,024.
const WAITING_MAX: usize = 256;

/// Tells people what is refused.
struct Teller;

impl Observer for Teller {
    fn complete(&self, _progress: &Progress) {}

    fn refused(&self, _seq: u64, detail: String) {
        eprintln!("left out: {detail}");
    }
}

/// What segue is worth on every query, in order. `said` is told how far it is.
pub fn scores(
    corpus: &Corpus,
    split: &Split<'_>,
    settings: Settings,
    said: impl Fn(String),
) -> Result<Vec<Scores>, EvaluateError> {
    let failed = |error: &dyn std::fmt::Display| EvaluateError::Engine(error.to_string());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        workers: threads,
        epoch_gap: Duration::from_millis(5),
        heartbeat: Duration::from_secs(1),
        // No answer to a query has anything to do with the graph.
        settings: Settings { neighbours: Neighbours { keep: 0, ..settings.neighbours }, ..settings },
        answers: Answers::Readers(threads),
    };
    let began = Instant::now();
    let clock = Arc::new(move || 1 + began.elapsed().as_millis() as u64);
    let engine = Engine::start(options, clock, Arc::new(Teller), None).map_err(|e| failed(&e))?;
    engine.wait(0, load(&engine, corpus, split).map_err(|e| failed(&e))?);
    said(format!("segue has the other {} playlists", split.index.len()));
    let scores = ask(&engine, corpus, split).map_err(|e| failed(&e))?;
    said("segue is done".to_owned());
    engine.stop().map_err(|e| failed(&e))?;
    Ok(scores)
}

/// Feeds the playlists of the index, each track's artist before its first playlist. Returns the position of the
/// next event.
fn load(engine: &Engine, corpus: &Corpus, split: &Split<'_>) -> Result<u64, impl std::fmt::Display + use<>> {
    let (mut batch, mut entries) = (Batch::default(), 0);
    let mut described = FxHashSet::default();
    for playlist in &split.index {
        let new = playlist.tracks.iter().copied().filter(|track| described.insert(*track));
        let descriptions = new.filter_map(|track| description(corpus, track));
        let bare = |track: &TrackNo| Track::new(&*corpus.tracks[*track as usize].uri);
        let put = Change::PlaylistPut {
            playlist: Cow::Borrowed(&*playlist.uri),
            title: playlist.title.as_deref().map(Cow::Borrowed),
            tracks: playlist.tracks.iter().map(bare).collect(),
        };
        for change in descriptions.chain([put]) {
            let edit = Edit::new(batch.next, &Event { at_ms: 0, change });
            entries += edit.weight();
            batch.edits.push(edit);
            batch.next += 1;
        }
        if entries >= BATCH_ENTRIES {
            let next = batch.next;
            engine.feed(std::mem::replace(&mut batch, Batch { next, ..Batch::default() }))?;
            entries = 0;
        }
    }
    let next = batch.next;
    engine.feed(batch).map(|()| next)
}

fn description(corpus: &Corpus, track: TrackNo) -> Option<Change<'_>> {
    let track = &corpus.tracks[track as usize];
    let uri = Cow::Borrowed(&*corpus.artists[track.artist? as usize]);
    let artist = Some(Named { uri, name: None });
    Some(Change::TrackDescribed { track: Track { artist, ..Track::new(&*track.uri) } })
}

fn question(corpus: &Corpus, query: &Query) -> Question {
    let seeds = Seeds::Tracks(query.seeds.iter().map(|track| corpus.id(*track)).collect());
    let (title, random_seeds) = (query.title.clone(), query.random);
    Question::Recommend(Recommend { title, random_seeds, ..Recommend::new(seeds, LIST) })
}

/// Asks all, a number of them at a time.
fn ask(
    engine: &Engine,
    corpus: &Corpus,
    split: &Split<'_>,
) -> Result<Vec<Scores>, Box<dyn std::error::Error>> {
    let numbers: FxHashMap<TrackId, TrackNo> =
        (0..).zip(&corpus.tracks).map(|(number, track)| (track.id, number)).collect();
    let mut scores: Vec<Option<Scores>> = vec![None; split.queries.len()];
    let (to, told) = sync_channel(WAITING_MAX);
    let mut take = |told: &Receiver<(usize, Answer)>| -> Result<(), Box<dyn std::error::Error>> {
        let (place, answer) = told.recv()?;
        let Body::Recommendations(Some(found)) = answer.body else { return Err("no recommendations".into()) };
        let ids = found.tracks.iter().map(|one| TrackId::of(&one.track.uri));
        let ranked: Vec<TrackNo> = ids.filter_map(|id| numbers.get(&id).copied()).collect();
        scores[place] = Some(score(&ranked, &split.queries[place].truth, |track| corpus.artist(track)));
        Ok(())
    };
    for (place, query) in split.queries.iter().enumerate() {
        if place >= WAITING_MAX {
            take(&told)?;
        }
        let to = to.clone();
        // Nobody listens only if another answer has failed.
        engine
            .ask(question(corpus, query), Box::new(move |answer| to.send((place, answer)).unwrap_or(())))?;
    }
    drop(to);
    for _ in 0..split.queries.len().min(WAITING_MAX) {
        take(&told)?;
    }
    Ok(scores.into_iter().flatten().collect())
}
