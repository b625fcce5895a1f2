//! Configuration: typed sections with a default and a reason for every key.
//!
//! Precedence: flag, then `SEGUE__SECTION__KEY`, then the file, then what is built in. [`layers`] puts them
//! together and refuses keys that nobody knows.

mod layers;

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
pub use layers::{Error, Layer, Loaded, load, shown};
use segue_dataflow::settings::{Neighbours, Recommend, Settings, Trending};
use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the server listens and keeps its data.
    pub server: Server,
    /// How the engine runs.
    pub dataflow: Dataflow,
    /// How recommendations are made.
    pub recommend: Recommend,
    /// How neighbours are counted.
    pub neighbours: Neighbours,
    /// Which additions are counted as trending.
    pub trending: Trending,
    /// How well additions are foreseen.
    pub prequential: Prequential,
    /// Copies of the state, to start from.
    pub snapshots: Snapshots,
    /// The change feed.
    pub changes: Changes,
    /// A copy of rows and charts in Redis.
    pub redis: Redis,
    /// What is too much.
    pub limits: Limits,
    /// The log on Kafka; without brokers it is embedded.
    pub kafka: segue_connectors::kafka::Settings,
}

/// Where the server listens and keeps its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address of the REST API. Port 0 takes a free one.
    pub bind: SocketAddr,
    /// Address of health, readiness and metrics. On loopback unless told otherwise.
    pub admin_bind: SocketAddr,
    /// Folder of the embedded log and the dead letters.
    pub data_dir: PathBuf,
    /// Whether an acknowledged event survives a power cut. If not, it survives the end of the process only,
    /// and is acknowledged sooner.
    pub fsync: bool,
    /// How long a shutdown waits for requests in flight, in milliseconds.
    pub drain_ms: u64,
}

/// How the engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dataflow {
    /// Worker threads.
    pub workers: usize,
    /// Threads that answer questions.
    pub readers: usize,
    /// An epoch lasts at least so long, in milliseconds, if something is in it: shorter is fresher and
    /// costs more processor time.
    pub epoch_gap_ms: u64,
}

/// How well additions are foreseen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prequential {
    /// The share of additions, from 0 to 1, before which it is found out whether they would have been recommended:
    /// each costs as much as a recommendation.
    #[serde(deserialize_with = "share")]
    pub share: f64,
}

/// Copies of the state, to start from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshots {
    /// Where they are kept: `s3://bucket/prefix`, with endpoint and keys in the usual `AWS_…` variables, or
    /// `file:///folder`. If empty, in the data folder; `off` takes none.
    pub url: String,
    /// One is due after so long, as in `90s` or `5m`; a bare number is seconds.
    pub every: Every,
    /// One is due after so many records of the log, however soon that is.
    pub every_events: u64,
    /// How many are kept, two at least.
    pub keep: usize,
    /// Of how many parts one may be, one whole and changes, before the next is whole again.
    pub layers: usize,
    /// Whether one is taken at the end of the server.
    pub at_end: bool,
    /// How long a request to S3 is tried again before it has failed.
    pub retry: Every,
    /// Whether a warm image is written beside each Parquet file, which a restart reads instead if it fits.
    pub warm_image: bool,
}

/// The change feed, `GET /v1/changes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// Readers at one time.
    pub readers: usize,
    /// Events that are kept for readers who resume or are slow.
    pub buffer_events: usize,
    /// Bytes of them at the most.
    pub buffer_bytes: usize,
    /// How often the charts are looked at, in milliseconds.
    pub charts_ms: u64,
    /// A reader is told so often that it is still connected, in milliseconds, if there is nothing else to tell.
    pub heartbeat_ms: u64,
    /// So long after the last reader has left, in milliseconds, no more events are made, and those that are kept go.
    pub idle_ms: u64,
}

/// A copy of rows and charts in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// Where it is: `redis://[user:password@]host[:port][/database]`, `rediss://…` with TLS, `unix:///socket`. If
    /// empty, there is none.
    pub url: String,
    /// What all keys begin with. Only one server may push to it.
    pub prefix: String,
    /// A key that was not looked after for so long is gone. All are looked after three times in it.
    pub expire: Every,
    /// How long to wait for an answer.
    pub timeout: Every,
    /// Rows that are sent together.
    pub batch: usize,
    /// Rows a second at the most; a row that changes again while it waits is sent once.
    pub rows_per_s: u32,
    /// Changed rows that may wait; if there are more, the oldest are forgotten, and all keys are looked after.
    pub waiting: usize,
    /// Keys at the most, those of charts and state included. The tracks that most playlists hold get them.
    pub max_keys: usize,
    /// Bytes of keys and values at the most; Redis itself takes some hundred more for each key.
    pub max_bytes: u64,
    /// Neighbours of a row at the most.
    pub neighbours: usize,
    /// Tracks of a chart at the most.
    pub chart: usize,
    /// How often charts are looked at.
    pub charts_every: Every,
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Every(pub Duration);

impl Display for Every {
    /// As it may be written.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:#}", SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX))
    }
}

impl Serialize for Every {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Seconds(u32),
            Text(String),
        }
        let text = match Given::deserialize(from)? {
            Given::Seconds(seconds) => seconds.to_string(),
            Given::Text(text) => text,
        };
        let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
        let spelled = || text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        let every = seconds.or_else(spelled).filter(|every| !every.is_zero());
        let wrong = || format!("{text:?} is no length of time such as 500ms, 90s or 5m");
        every.map(Every).ok_or_else(|| serde::de::Error::custom(wrong()))
    }
}

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Events of one request.
    pub events: usize,
    /// How long a request's body may take to arrive, in milliseconds.
    pub body_ms: u64,
    /// Requests with events that are written to the log at one time; more wait.
    pub appends: usize,
    /// How long a question may take before it is given up, in milliseconds.
    pub answer_ms: u64,
    /// The share of the last 10,000 records of the log that may be bad, from 0 to 1; more stop the server, as
    /// then what writes them is wrong.
    #[serde(deserialize_with = "share")]
    pub bad_share: f64,
}

fn share<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(from)?;
    match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(serde::de::Error::custom(format!("{share} is not a share from 0 to 1"))),
    }
}

impl Default for Server {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Server {
            bind: loopback(8080),
            admin_bind: loopback(8081),
            data_dir: "data".into(),
            fsync: true,
            drain_ms: 10_000,
        }
    }
}

impl Default for Dataflow {
    fn default() -> Self {
        Dataflow { workers: 2, readers: 2, epoch_gap_ms: 5 }
    }
}

impl Default for Prequential {
    fn default() -> Self {
        Prequential { share: 0.01 }
    }
}

impl Default for Snapshots {
    fn default() -> Self {
        Snapshots {
            url: String::new(),
            every: Every(Duration::from_secs(60)),
            every_events: 1_000_000,
            keep: 3,
            layers: 10,
            at_end: true,
            retry: Every(Duration::from_secs(10)),
            warm_image: false,
        }
    }
}

impl Default for Changes {
    fn default() -> Self {
        Changes {
            readers: 64,
            buffer_events: 1_000_000,
            buffer_bytes: 128 << 20,
            charts_ms: 1_000,
            heartbeat_ms: 15_000,
            idle_ms: 600_000,
        }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Redis {
            url: String::new(),
            prefix: "segue".to_owned(),
            expire: Every(Duration::from_secs(3_600)),
            timeout: Every(Duration::from_secs(1)),
            batch: 128,
            rows_per_s: 2_000,
            waiting: 1_000_000,
            max_keys: 1_000_000,
            max_bytes: 1 << 30,
            neighbours: 50,
            chart: 100,
            charts_every: Every(Duration::from_secs(5)),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 64 << 20,
            events: 100_000,
            body_ms: 60_000,
            appends: 64,
            answer_ms: 10_000,
            bad_share: 0.05,
        }
    }
}

impl Config {
    /// The knobs of the engine.
    pub fn settings(&self) -> Settings {
        Settings { recommend: self.recommend, neighbours: self.neighbours, trending: self.trending }
    }

    /// What cannot be said by types: ranges.
    ///
    /// # Errors
    /// Names the key, its value and what would be right.
    pub fn check(&self) -> Result<(), Error> {
        let numbers: [(&str, u64, RangeInclusive<u64>); 34] = [
            ("snapshots.every_events", self.snapshots.every_events, 1..=1 << 40),
            ("snapshots.keep", self.snapshots.keep as u64, 2..=10_000),
            ("snapshots.layers", self.snapshots.layers as u64, 1..=1_000),
            ("dataflow.workers", self.dataflow.workers as u64, 1..=256),
            ("dataflow.readers", self.dataflow.readers as u64, 1..=256),
            ("dataflow.epoch_gap_ms", self.dataflow.epoch_gap_ms, 1..=1_000),
            ("recommend.nearest", self.recommend.nearest.into(), 1..=100_000),
            ("recommend.decorrelate_from", self.recommend.decorrelate_from.into(), 1..=u32::MAX.into()),
            ("recommend.thin", self.recommend.thin.into(), 0..=100_000),
            ("recommend.large_from", self.recommend.large_from.into(), 0..=u32::MAX.into()),
            ("recommend.artist_fill", self.recommend.artist_fill.into(), 0..=10_000),
            ("neighbours.sample", self.neighbours.sample.into(), 1..=30_000),
            ("neighbours.keep", self.neighbours.keep.into(), 0..=1_000),
            ("neighbours.min_support", self.neighbours.min_support.into(), 2..=1_000_000),
            ("neighbours.grid_ms", self.neighbours.grid_ms, 1..=60_000),
            ("neighbours.burst", self.neighbours.burst.into(), 1_000..=10_000_000),
            ("trending.keep_days", self.trending.keep_days.into(), 2..=3_650),
            ("changes.readers", self.changes.readers as u64, 1..=10_000),
            ("changes.buffer_events", self.changes.buffer_events as u64, 1..=100_000_000),
            ("changes.buffer_bytes", self.changes.buffer_bytes as u64, 1..=1 << 34),
            ("changes.charts_ms", self.changes.charts_ms, 10..=3_600_000),
            ("changes.heartbeat_ms", self.changes.heartbeat_ms, 100..=3_600_000),
            ("changes.idle_ms", self.changes.idle_ms, 0..=86_400_000),
            ("redis.batch", self.redis.batch as u64, 1..=10_000),
            ("redis.rows_per_s", self.redis.rows_per_s.into(), 1..=1_000_000),
            ("redis.waiting", self.redis.waiting as u64, 1..=1 << 32),
            ("redis.max_keys", self.redis.max_keys as u64, 4..=1 << 32),
            ("redis.max_bytes", self.redis.max_bytes, 1 << 16..=1 << 50),
            ("redis.neighbours", self.redis.neighbours as u64, 1..=1_000),
            ("redis.chart", self.redis.chart as u64, 1..=1_000),
            ("limits.events", self.limits.events as u64, 1..=10_000_000),
            ("limits.body_ms", self.limits.body_ms, 1..=3_600_000),
            ("limits.appends", self.limits.appends as u64, 1..=512),
            ("limits.body_bytes", self.limits.body_bytes as u64, 1..=1 << 30),
        ];
        let every = |from, to| Every(Duration::from_millis(from))..=Every(Duration::from_secs(to));
        let times = [
            ("redis.expire", self.redis.expire, every(2_000, 10 * 365 * 24 * 3_600)),
            ("redis.timeout", self.redis.timeout, every(1, 3_600)),
        ];
        if !self.redis.url.is_empty() {
            segue_connectors::redis::check(&self.redis.url).map_err(|error| Error::Wrong {
                origin: "configuration".into(),
                key: "redis.url".into(),
                detail: error.to_string(),
            })?;
        }
        within(&numbers)?;
        within(&times)
    }
}

/// Whether each value is in its range.
fn within<T: PartialOrd + Display>(ranges: &[(&str, T, RangeInclusive<T>)]) -> Result<(), Error> {
    match ranges.iter().find(|(_, value, range)| !range.contains(value)) {
        Some((key, value, range)) => Err(Error::Range {
            key: (*key).to_owned(),
            value: value.to_string(),
            range: format!("{} to {}", range.start(), range.end()),
        }),
        None => Ok(()),
    }
}
