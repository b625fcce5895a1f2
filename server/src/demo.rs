//! `segue demo`: everything embedded, nothing to install. A data set is loaded through the same intake as
//! requests, then a trickle of edits keeps it alive.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use segue_dataflow::event::{Change, Event};
use segue_dataflow::query::{Answer, Body, Question};
use segue_replay::generate::{Edits, Playlists};
use segue_replay::publish::{
    Batch, Outcome, Pace, Progress, Publisher, Receipt, Rejected, SystemClock, Target, TargetError,
};
use segue_replay::source::{Fault, Reader, Sink, find};

use crate::intake;
use crate::serve::Running;
use crate::service::{Service, reached};

/// What a URI keeps as it is in a path.
const UNSAFE_IN_A_PATH: AsciiSet = NON_ALPHANUMERIC.remove(b':').remove(b'-').remove(b'_').remove(b'.');

/// Starts everything in one process, loads a data set, keeps edits coming, serves.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Port of the API and the page; the admin port is the next one (0: two free ones).
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// How many made-up playlists.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub playlists: u64,
    /// Real data instead: Million Playlist Dataset slices or event files, or a folder of them.
    #[arg(long, value_name = "PATH", conflicts_with = "playlists")]
    pub from: Option<PathBuf>,
    /// Chooses the made-up playlists.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Made-up edits a second once the data set is loaded; 0 for none.
    #[arg(long, default_value_t = 5.0, value_parser = rate)]
    pub edits: f64,
    /// Keep the data in this folder instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Write the addresses to this file, as JSON, once they are open.
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| (0.0..=100_000.0).contains(rate))
        .ok_or("not a number from 0 to 100000".into())
}

/// The intake as a target of replays.
struct InProcess(Arc<Service>);

impl Target for InProcess {
    fn send(&mut self, batch: &Batch, _interrupted: &AtomicBool) -> Result<Receipt, TargetError> {
        let whole = Bytes::copy_from_slice(batch.ndjson());
        let items: Vec<Bytes> = batch
            .lines()
            .scan(0, |at, line| {
                let item = whole.slice(*at..*at + line.len());
                *at += line.len() + 1;
                Some(item)
            })
            .collect();
        let taken = intake::take(&self.0, "demo", "demo", &items).map_err(|error| TargetError::Write {
            target: "the embedded log".into(),
            source: std::io::Error::other(error),
        })?;
        let rejected = taken.rejected.into_iter().map(|(index, r)| Rejected {
            index: index as u64,
            code: r.code.to_string(),
            detail: r.detail,
        });
        Ok(Receipt { accepted: taken.accepted as u64, rejected: rejected.collect() })
    }

    fn finish(&mut self, _interrupted: &AtomicBool) -> Result<(), TargetError> {
        Ok(())
    }
}

/// Counts made-up playlists as what is read of the sources.
struct Counting<'a, 'b>(&'a mut Publisher<'b>);

impl Sink for Counting<'_, '_> {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        let playlist = matches!(event.change, Change::PlaylistPut { .. });
        self.0.event(event)?;
        self.0.read(u64::from(playlist));
        ControlFlow::Continue(())
    }

    fn fault(&mut self, fault: Fault) {
        self.0.fault(fault);
    }
}

/// Loads the data set; returns when it is on the log. Blocks, so it wants a thread for it.
///
/// # Errors
/// If the source cannot be read at all, or the log takes no more.
pub fn load(args: &DemoArgs, running: &Running) -> anyhow::Result<Outcome> {
    let inputs = args.from.as_ref().map(|path| find(std::slice::from_ref(path))).transpose()?;
    let size = inputs.as_ref().map_or(args.playlists, |inputs| inputs.iter().map(|input| input.bytes).sum());
    let (mut target, mut clock) = (InProcess(Arc::clone(&running.service)), SystemClock::default());
    let mut progress = Progress::new(size);
    let stop = &running.interrupted;
    let mut publisher = Publisher::new(&mut target, Pace::Unpaced, 0, &mut clock, stop, &mut progress);
    let _ = match inputs {
        Some(inputs) => Reader::new().read_all(&inputs, &mut publisher),
        None => Playlists::new(args.seed, args.playlists).events(&mut Counting(&mut publisher)),
    };
    let outcome = publisher.finish()?;
    progress.say(&outcome);
    progress.end();
    Ok(outcome)
}

/// Lines to try once all that was loaded is in the answers; they name a track of this data set.
pub async fn to_try(running: &Running) -> Vec<String> {
    let Running { service, api, .. } = running;
    let ends: Vec<u64> = service.offsets().into_iter().map(|(end, _)| end).collect();
    let mut progress = service.progress.clone();
    tokio::select! {
        // An error means that the server is stopping, which whoever waits for that will tell.
        _ = progress.wait_for(|progress| reached(progress, &ends)) => {}
        _ = service.health.failed() => {}
    }
    let mut lines = vec![
        format!("curl -s http://{api}/v1/state"),
        format!("curl -s 'http://{api}/v1/charts/popular?limit=3'"),
    ];
    if let Ok(Answer { body: Body::Popular(chart), .. }) = service.ask(Question::Popular { limit: 1 }).await
        && let Some((track, _)) = chart.first()
    {
        // Percent-encoded, so that no shell and no JSON reads anything else into it.
        let uri = utf8_percent_encode(&track.uri, &UNSAFE_IN_A_PATH);
        lines.push(format!("curl -s 'http://{api}/v1/tracks/{uri}/neighbours?limit=3'"));
    }
    lines
}

/// Keeps edits of the made-up playlists coming until the server stops.
///
/// # Errors
/// If the log takes no more.
pub fn trickle(args: &DemoArgs, service: &Arc<Service>, stop: &AtomicBool) -> anyhow::Result<()> {
    let (mut target, mut clock) = (InProcess(Arc::clone(service)), SystemClock::default());
    let mut progress = Progress::hidden();
    let pace = Pace::Rate(args.edits);
    let mut publisher = Publisher::new(&mut target, pace, 0, &mut clock, stop, &mut progress);
    let _ = Edits::new(args.seed, args.playlists).try_for_each(|edit| publisher.event(&edit));
    publisher.finish()?;
    Ok(())
}
