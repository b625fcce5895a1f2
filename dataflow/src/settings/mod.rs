//! Every knob of recommendation and of the co-occurrence answers, with its default and its reason.

mod curve;
mod recommend;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use curve::Curve;
pub use recommend::{Constants, Recommend};

/// The knobs of the engine. They may differ between two runs over one log: but for how long additions are kept,
/// they shape answers, not state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How recommendations are made.
    pub recommend: Recommend,
    /// How the neighbours of a track are counted.
    pub neighbours: Neighbours,
    /// Which additions are counted as trending.
    pub trending: Trending,
}

/// Knobs of the neighbours of a track.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Neighbours {
    /// Playlists of a track that are counted, at least; at most twice as many are.
    #[schemars(range(min = 1, max = 30_000))]
    pub sample: u32,
    /// Neighbours that a track has at the most. A row of the graph needs 26 bytes for each. With 0 there is no
    /// graph: all neighbours are counted when asked for.
    #[schemars(range(min = 0, max = 1_000))]
    pub keep: u32,
    /// Playlists that hold a track, at least, for it to have a row in the graph. To count the neighbours of the
    /// others when asked for is cheap.
    #[schemars(range(min = 2, max = 1_000_000))]
    pub min_support: u32,
    /// The graph is exact as-of the multiples of so many milliseconds: longer is cheaper, and staler.
    #[schemars(range(min = 1, max = 60_000))]
    pub grid_ms: u64,
    /// Changes of entries in the time of one multiple that are a burst: cheaper to count all rows anew, once it is over.
    #[schemars(range(min = 1_000, max = 10_000_000))]
    pub burst: u32,
}

/// Such of them as tell what the rows of the graph are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRules {
    /// See [`Neighbours::sample`].
    pub sample: u32,
    /// See [`Neighbours::keep`].
    pub keep: u32,
    /// See [`Neighbours::min_support`].
    pub min_support: u32,
}

impl Neighbours {
    /// Those that tell what rows are.
    pub fn of_rows(&self) -> RowRules {
        let Neighbours { sample, keep, min_support, .. } = *self;
        RowRules { sample, keep, min_support }
    }
}

/// Knobs of the trending chart. Unlike the others, they tell how much is kept, and so what a snapshot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Trending {
    /// Days of which additions are counted, up to the newest that events have reached; two windows must fit. What
    /// is older is dropped: a larger number is right only once so many days have passed, or after a start from
    /// the log.
    #[schemars(range(min = 2, max = 3_650))]
    pub keep_days: u16,
}

impl Default for Trending {
    fn default() -> Self {
        Trending { keep_days: 28 }
    }
}

impl Default for Neighbours {
    fn default() -> Self {
        Neighbours { sample: 500, keep: 100, min_support: 50, grid_ms: 100, burst: 20_000 }
    }
}
