//! Slices straight into the engine, beside reading and decoding them alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_dataflow::edit::Edit;
use segue_dataflow::settings::Settings;
use segue_dataflow::workers::{Answers, Batch, Clock, Engine, Observer, Options};

use crate::corpus::Corpus;
use crate::table::Table;
use crate::watch::Watch;

/// Entries of one batch, about.
const BATCH_ENTRIES: usize = 20_000;

/// Threads that answer questions.
pub const READERS: usize = 2;

/// An engine that has all of a corpus.
pub struct Loaded {
    pub engine: Engine,
    /// Position of the next event.
    pub next: u64,
    /// How far it is.
    pub watch: Arc<Watch>,
}

/// How the server runs it, and a clock.
pub fn options(settings: Settings) -> (Options, Clock) {
    let epoch_gap = Duration::from_millis(5);
    let (heartbeat, answers) = (Duration::from_secs(1), Answers::Readers(READERS));
    let options = Options { workers: 2, epoch_gap, heartbeat, settings, answers };
    let began = Instant::now();
    (options, Arc::new(move || 1 + began.elapsed().as_millis() as u64))
}

/// The engine as the server runs it.
pub fn start(observer: Arc<dyn Observer>, settings: Settings) -> anyhow::Result<Engine> {
    let (options, clock) = options(settings);
    Engine::start(options, clock, observer, None).map_err(anyhow::Error::msg)
}

/// Feeds all of a corpus; gives the position of the next event.
pub fn feed(corpus: &Corpus, engine: &Engine) -> anyhow::Result<u64> {
    let (mut next, mut entries) = (0, 0);
    let mut batch = Batch::default();
    corpus.read(|event| {
        let edit = Edit::new(next, event);
        next += 1;
        entries += edit.weight();
        batch.edits.push(edit);
        batch.next = next;
        if entries >= BATCH_ENTRIES {
            entries = 0;
            // It fails only once a worker has panicked, and then waiting below never ends.
            engine.feed(std::mem::take(&mut batch)).expect("the engine runs");
        }
    });
    if !batch.edits.is_empty() {
        engine.feed(batch)?;
    }
    Ok(next)
}

pub fn load(corpus: &Corpus, table: &mut Table) -> anyhow::Result<Loaded> {
    corpus.read(|_| {}); // from here on the files are as far in memory as they fit
    let began = Instant::now();
    let counts = corpus.read(|_| {});
    let alone = began.elapsed().as_secs_f64();
    let watch = Arc::new(Watch::default());
    let engine = start(Arc::clone(&watch) as _, Settings::default())?;
    let began = Instant::now();
    let next = feed(corpus, &engine)?;
    let as_of = watch.wait(|seen| seen.next < next).as_of;
    let loaded = began.elapsed().as_secs_f64();
    table.row(
        "read and decode the slices alone",
        format!("{alone:.1} s, {:.0} MB/s", corpus.bytes as f64 / 1e6 / alone),
        "",
        &format!("{} playlists, {} entries, {} events", counts.playlists, corpus.entries, counts.events),
    );
    table.ratio("replay into the engine", loaded, alone, 2.0, |s| format!("{s:.1} s"));
    drop(watch.wait(|seen| seen.graph < as_of));
    Ok(Loaded { engine, next, watch })
}
