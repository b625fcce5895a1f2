//! The server's own sections, each key with its default, its range and its reason.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// Where the server listens and keeps its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    #[schemars(range(max = 3_600_000))]
    pub drain_ms: u64,
}

/// How the engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dataflow {
    /// Worker threads.
    #[schemars(range(min = 1, max = 256))]
    pub workers: usize,
    /// Threads that answer questions.
    #[schemars(range(min = 1, max = 256))]
    pub readers: usize,
    /// An epoch lasts at least so long, in milliseconds, if something is in it: shorter is fresher and
    /// costs more processor time.
    #[schemars(range(min = 1, max = 1_000))]
    pub epoch_gap_ms: u64,
}

/// How well additions are foreseen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prequential {
    /// The share of additions, from 0 to 1, before which it is found out whether they would have been recommended:
    /// each costs as much as a recommendation.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
}

/// Copies of the state, to start from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshots {
    /// Where they are kept: `s3://bucket/prefix`, with endpoint and keys in the usual `AWS_…` variables, or
    /// `file:///folder`. If empty, in the data folder; `off` takes none.
    pub url: String,
    /// One is due after so long, as in `90s` or `5m`; a bare number is seconds.
    pub every: Span,
    /// One is due after so many records of the log, however soon that is.
    #[schemars(range(min = 1, max = 1_u64 << 40))]
    pub every_events: u64,
    /// How many are kept, and what they need; two at least.
    #[schemars(range(min = 2, max = 10_000))]
    pub keep: usize,
    /// Of how many parts one may be, one whole and changes, before the next is whole again.
    #[schemars(range(min = 1, max = 1_000))]
    pub layers: usize,
    /// Whether one is taken at the end of the server.
    pub at_end: bool,
    /// How long a request to S3 is tried again before it has failed.
    pub retry: Span,
    /// Whether a warm image is written beside each Parquet file, which a restart reads instead if it fits.
    pub warm_image: bool,
}

/// The change feed, `GET /v1/changes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// Readers at one time.
    #[schemars(range(min = 1, max = 10_000))]
    pub readers: usize,
    /// Events that are kept for readers who resume or are slow, at the most.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub buffer_events: usize,
    /// Bytes of events that are kept, at the most.
    #[schemars(range(min = 1, max = 1_u64 << 34))]
    pub buffer_bytes: usize,
    /// How often the charts are looked at, in milliseconds.
    #[schemars(range(min = 10, max = 3_600_000))]
    pub charts_ms: u64,
    /// A reader is told so often that it is still connected, in milliseconds, if there is nothing else to tell.
    #[schemars(range(min = 100, max = 3_600_000))]
    pub heartbeat_ms: u64,
    /// So long after the last reader has left, in milliseconds, no more events are made, and those that are kept go.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub idle_ms: u64,
}

/// A copy of rows and charts in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// Where it is: `redis://[user:password@]host[:port][/database]`, `rediss://…` with TLS, `unix:///socket`. If
    /// empty, there is none.
    pub url: String,
    /// What all keys begin with. Only one server may push to it.
    pub prefix: String,
    /// A key that was not looked after for so long is gone; 2 s at least. All are looked after three times in it.
    pub expire: Span,
    /// How long to wait for an answer.
    pub timeout: Span,
    /// Rows that are sent together.
    #[schemars(range(min = 1, max = 10_000))]
    pub batch: usize,
    /// Rows a second at the most: the bound on what it costs. A row that changes again while it waits is sent once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rows_per_s: u32,
    /// Changed rows that may wait, about 30 bytes each; if there are more, the oldest are forgotten, and all keys are looked after.
    #[schemars(range(min = 1, max = 1_u64 << 32))]
    pub waiting: usize,
    /// Keys at the most, those of charts and state included. The tracks that most playlists hold get them.
    #[schemars(range(min = 4, max = 1_u64 << 32))]
    pub max_keys: usize,
    /// Bytes of keys and values at the most; Redis itself takes some hundred more for each key.
    #[schemars(range(min = 1_u64 << 16, max = 1_u64 << 50))]
    pub max_bytes: u64,
    /// Neighbours of a row at the most.
    #[schemars(range(min = 1, max = 1_000))]
    pub neighbours: usize,
    /// Tracks of a chart at the most.
    #[schemars(range(min = 1, max = 1_000))]
    pub chart: usize,
    /// How often charts are looked at.
    pub charts_every: Span,
}

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a request's body.
    #[schemars(range(min = 1, max = 1_u64 << 30))]
    pub body_bytes: usize,
    /// Events of one request.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub events: usize,
    /// How long a request's body may take to arrive, in milliseconds.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub body_ms: u64,
    /// Requests with events that are written to the log at one time; more wait.
    #[schemars(range(min = 1, max = 512))]
    pub appends: usize,
    /// How long a question may take before it is given up, in milliseconds.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub answer_ms: u64,
    /// The share of the last 10,000 records of the log that may be bad, from 0 to 1; more stop the server, as
    /// then what writes them is wrong.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub bad_share: f64,
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
            every: Span(Duration::from_secs(60)),
            every_events: 1_000_000,
            keep: 3,
            layers: 10,
            at_end: true,
            retry: Span(Duration::from_secs(10)),
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
            expire: Span(Duration::from_secs(3_600)),
            timeout: Span(Duration::from_secs(1)),
            batch: 128,
            rows_per_s: 2_000,
            waiting: 1_000_000,
            max_keys: 1_000_000,
            max_bytes: 1 << 30,
            neighbours: 50,
            chart: 100,
            charts_every: Span(Duration::from_secs(5)),
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
