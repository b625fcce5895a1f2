//! The charts as-of one epoch, for whoever tells others of them.

use segue_dataflow::query::{Body, Question, TrackCard, TrendingAnswer};
use segue_dataflow::workers::Engine;

/// Both of them.
#[derive(Clone, Debug, Default)]
pub struct Charts {
    /// The epoch.
    pub as_of: u64,
    /// The tracks that most playlists hold, with how many.
    pub popular: Vec<(TrackCard, u32)>,
    /// Over so many days.
    pub days: u16,
    /// The tracks whose additions have grown most.
    pub trending: TrendingAnswer,
}

impl Charts {
    /// As they are now, `limit` tracks of each at the most. None once the engine has stopped.
    pub fn read(engine: &Engine, days: u16, limit: usize) -> Option<Self> {
        let lease = engine.lease()?;
        let mut charts = Charts { as_of: lease.as_of(), days, ..Charts::default() };
        for question in [Question::Popular { limit }, Question::Trending { days, limit }] {
            match lease.answer(question).body {
                Body::Popular(all) => charts.popular = all,
                Body::Trending(found) => charts.trending = found,
                _ => {}
            }
        }
        Some(charts)
    }
}
