//! The commands `segue replay` and `segue generate`: what they take, and what they do with it.
//!
//! Nothing here ends the process or installs a signal handler; that is the binary's part.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;
use segue_connectors::kafka::Settings;

use crate::generate::{self, Written};
use crate::publish::{
    Address, Failed, FileTarget, HttpTarget, KafkaTarget, Outcome, Pace, Progress, Publisher, SystemClock,
    Target, TargetError, stdout,
};
use crate::source::{NoSource, Reader, find};

/// Streams data sets as events.
///
/// Tracks of Million Playlist Dataset slices are described once, then named by URI; playlist 7 becomes
/// `mpd:playlist:7`. Event files are sent as they are. What cannot be read is reported, the rest is sent.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// Slice files (.json), event files (.ndjson), either may end in .gz, or folders of them.
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// Where to: http://server, kafka://broker:port/topic, a file (packed if it ends in .gz), or - for standard output.
    #[arg(long, value_name = "TARGET")]
    pub to: Address,
    /// At most so many events a second.
    #[arg(long, value_name = "EVENTS_PER_S", value_parser = positive, conflicts_with = "speed")]
    pub rate: Option<f64>,
    /// By the times of the events, X times as fast as they happened.
    #[arg(long, value_name = "X", value_parser = positive)]
    pub speed: Option<f64>,
    /// Pass over the first N events; a file is then appended to. An interrupted run says its N.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from_offset: u64,
    /// Make the topic if it is not there: it keeps everything, and takes the largest events.
    #[arg(long, requires = "partitions")]
    pub create_topic: bool,
    /// With so many partitions, for --create-topic.
    #[arg(long, value_name = "N", requires = "create_topic")]
    pub partitions: Option<u32>,
    /// A property of librdkafka's for a kafka:// target, such as security.protocol=SASL_SSL; may be repeated.
    #[arg(long = "kafka-property", value_name = "NAME=VALUE", value_parser = property)]
    pub kafka_properties: Vec<(String, String)>,
    /// Write the outcome to standard output as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Generates made-up data in the shape of the Million Playlist Dataset.
///
/// The same seed gives the same bytes, on any number of threads.
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// How many playlists.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=generate::PLAYLISTS_MAX))]
    pub playlists: u64,
    /// Chooses the playlists; tracks, artists and titles are those of the same made-up world for every seed.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// The folder to write to; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Also write N later edits of the playlists to edits.ndjson.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub events: u64,
    /// Pack the files with gzip.
    #[arg(long)]
    pub gzip: bool,
    /// Threads to use; all processors if not given.
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
    /// Write the outcome to standard output as one JSON object.
    #[arg(long)]
    pub json: bool,
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("not NAME=VALUE".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("not a number above 0".to_owned()),
    }
}

/// Why `segue replay` did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A SOURCE gives nothing to read. [`NoSource::Neither`] is wrong use, the others are failures.
    #[error(transparent)]
    Source(#[from] NoSource),
    /// The target could not be opened.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A source is the target: it would be overwritten before it is read.
    #[error("{0}: is both a source and the target; choose another target")]
    SourceIsTarget(String),
    /// The target ended the run.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl ReplayError {
    /// Whether the command line was wrong, rather than the world.
    pub fn is_wrong_use(&self) -> bool {
        matches!(self, ReplayError::Source(NoSource::Neither { .. }) | ReplayError::SourceIsTarget(_))
    }
}

impl ReplayArgs {
    /// How fast the events are to go.
    pub fn pace(&self) -> Pace {
        match (self.rate, self.speed) {
            (Some(rate), _) => Pace::Rate(rate),
            (None, Some(factor)) => Pace::Speed { factor, first_at_ms: None },
            (None, None) => Pace::Unpaced,
        }
    }

    /// Replays; progress, faults and a summary go to stderr. `interrupted` ends it after the batch in flight.
    pub fn run(&self, interrupted: &AtomicBool) -> Result<Outcome, ReplayError> {
        let inputs = find(&self.sources)?;
        let mut target: Box<dyn Target> = match &self.to {
            Address::Stdout => Box::new(stdout()),
            Address::File(path) => {
                if inputs.iter().any(|input| same_file(&input.path, path)) {
                    return Err(ReplayError::SourceIsTarget(path.display().to_string()));
                }
                Box::new(FileTarget::open(path, self.from_offset > 0)?)
            }
            Address::Http(base) => Box::new(HttpTarget::new(base)),
            Address::Kafka { brokers, topic } => {
                let properties = self.kafka_properties.iter().cloned().collect();
                let (brokers, topic) = (brokers.clone(), topic.clone());
                let settings = Settings { brokers, topic, properties, ..Settings::default() };
                Box::new(KafkaTarget::open(&settings, self.partitions.filter(|_| self.create_topic))?)
            }
        };
        let mut progress = Progress::new(inputs.iter().map(|input| input.bytes).sum());
        let mut clock = SystemClock::default();
        let mut reader = Reader::new();
        let mut publisher = Publisher::new(
            &mut *target,
            self.pace(),
            self.from_offset,
            &mut clock,
            interrupted,
            &mut progress,
        );
        let _ = reader.read_all(&inputs, &mut publisher);
        let outcome = publisher.finish();
        progress.end();
        let outcome = outcome?;
        let counts = reader.counts();
        if counts.rows > 0 {
            let (playlists, rows, without) = (counts.playlists, counts.rows, counts.rows_without_track);
            progress
                .say(&format_args!("{playlists} playlists, {rows} rows, {without} of them without a track"));
        }
        progress.say(&outcome);
        Ok(outcome)
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

impl GenerateArgs {
    /// Generates; a summary goes to stderr. `interrupted` ends it after the slices in work.
    pub fn run(&self, interrupted: &AtomicBool) -> Result<Written, generate::WriteError> {
        let threads =
            self.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from);
        let written = generate::Job {
            seed: self.seed,
            playlists: self.playlists,
            edits: self.events,
            gzip: self.gzip,
            threads,
        }
        .write(&self.out, interrupted)?;
        eprintln!("{written}");
        Ok(written)
    }
}
