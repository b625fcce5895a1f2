//! `segue evaluate`: how good recommendations are, on playlists that were held out.
//!
//! Reading order: `corpus` (the playlists of the sources), `protocol` (what is asked, and of which
//! playlists), `split` (who is held out), `segue` (the questions to the real engine), `baselines` (the same
//! to plain methods), `metrics` (what one answer is worth), `bootstrap` (means and their errors), `report`.
//!
//! Invariant: the same data and seed give the same numbers, in whatever order the files are read and on any
//! number of threads.

mod baselines;
mod bootstrap;
mod corpus;
mod metrics;
mod protocol;
mod report;
mod segue;
mod split;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use segue_dataflow::settings::Settings;

pub use bootstrap::Bootstrap;
pub use metrics::{Scores, score};
pub use protocol::{Category, Pick, Protocol};
pub use report::{Estimate, Report};

use crate::source::{NoSource, find};
use baselines::Baselines;
use corpus::Corpus;
use split::Split;

/// Measures recommendations on playlists that are held out, beside plain methods on the same.
///
/// What is asked, and how answers are counted, is as in the RecSys Challenge 2018. Nothing is written but the
/// report.
#[derive(Args, Clone, Debug)]
pub struct EvaluateArgs {
    /// Million Playlist Dataset slices (.json), event files (.ndjson), either may end in .gz, or folders of them.
    #[arg(long, required = true, num_args = 1.., value_name = "SOURCE")]
    pub data: Vec<PathBuf>,
    /// Whose rules.
    #[arg(long, value_enum, default_value_t = Protocol::Recsys18)]
    pub protocol: Protocol,
    /// Chooses the held-out playlists, the random seeds and the bootstrap's draws.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Hold out so many playlists; if not given, a fifth of those that fit, at most 10,000.
    #[arg(long, value_name = "N")]
    pub held_out: Option<NonZeroUsize>,
    /// Show no titles: what segue is worth by tracks alone, as the plain methods use no titles.
    #[arg(long)]
    pub no_titles: bool,
    /// Write the report to standard output as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A SOURCE gives nothing to read.
    #[error(transparent)]
    Source(#[from] NoSource),
    /// No category has enough playlists.
    #[error("not enough playlists for any category: {0}")]
    TooFew(String),
    /// The engine did not start, or has ended.
    #[error("the engine: {0}")]
    Engine(String),
}

impl EvaluateError {
    /// Whether the command line was wrong, rather than the world.
    pub fn is_wrong_use(&self) -> bool {
        matches!(self, EvaluateError::Source(NoSource::Neither { .. }))
    }
}

impl EvaluateArgs {
    /// Evaluates an engine with these settings. What it is at, and what could not be read, goes to stderr.
    ///
    /// # Errors
    /// If there is nothing to measure, or the engine fails.
    pub fn run(&self, settings: Settings) -> Result<Report, EvaluateError> {
        let began = Instant::now();
        let said = |what: String| eprintln!("{:6.1} s  {what}", began.elapsed().as_secs_f64());
        let corpus = Corpus::read(&find(&self.data)?, |fault| eprintln!("{fault}"));
        said(format!("read {} playlists, {} tracks", corpus.playlists.len(), corpus.tracks.len()));
        let categories = self.protocol.categories();
        let mut split = Split::new(&corpus, categories, self.seed, self.held_out.map(usize::from));
        if self.no_titles {
            split.hide_titles();
        }
        if split.queries.is_empty() {
            let lacking: Vec<String> = split.lacking.iter().map(ToString::to_string).collect();
            return Err(EvaluateError::TooFew(lacking.join("; ")));
        }
        said(format!("held out {} playlists, for {} queries", split.held_out.len(), split.queries.len()));
        let ours = segue::scores(&corpus, &split, settings, said)?;
        let baselines = Baselines::new(&corpus, &split);
        let mut methods = vec![(report::SEGUE, ours)];
        for baseline in baselines::ALL {
            methods.push((baseline.name(), baselines.scores(baseline)));
            said(format!("{} is done", baseline.name()));
        }
        Ok(Report::new(self, &split, &baselines, &methods))
    }
}
