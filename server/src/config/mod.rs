//! Configuration: typed sections with a default and a reason for every key.
//!
//! Precedence: flag, then `SEGUE__SECTION__KEY`, then the file, then what is built in. [`layers`] puts them
//! together and refuses keys that nobody knows, [`schema`] knows what each may be.

mod layers;
mod schema;
mod sections;
mod span;

use std::time::Duration;

pub use layers::{Error, Layer, Loaded, load, shown};
pub use schema::schema;
use schemars::JsonSchema;
pub use sections::{Changes, Dataflow, Limits, Prequential, Redis, Server, Snapshots};
use segue_dataflow::settings::{Neighbours, Recommend, Settings, Trending};
use serde::{Deserialize, Serialize};
pub use span::Span;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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

impl Config {
    /// The knobs of the engine.
    pub fn settings(&self) -> Settings {
        Settings { recommend: self.recommend, neighbours: self.neighbours, trending: self.trending }
    }

    /// What cannot be read off a key by itself.
    ///
    /// # Errors
    /// Names the key, its value and what would be right.
    pub fn check(&self) -> Result<(), Error> {
        schema::within_ranges(self)?;
        let span = |from, to| Span(Duration::from_millis(from))..=Span(Duration::from_secs(to));
        for (key, value, range) in [
            ("redis.expire", self.redis.expire, span(2_000, 10 * 365 * 24 * 3_600)),
            ("redis.timeout", self.redis.timeout, span(1, 3_600)),
        ] {
            if !range.contains(&value) {
                let range = format!("{} to {}", range.start(), range.end());
                return Err(Error::Range { key: key.into(), value: value.to_string(), range });
            }
        }
        if !self.redis.url.is_empty() {
            segue_connectors::redis::check(&self.redis.url).map_err(|error| Error::Wrong {
                origin: "configuration".into(),
                key: "redis.url".into(),
                detail: error.to_string(),
            })?;
        }
        Ok(())
    }
}
