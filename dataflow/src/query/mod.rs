//! Queries: records in the dataflow, answered as-of one epoch on any number of workers.
//!
//! A query is a [`plan::Plan`] that lives at its home worker. It asks workers to read something
//! ([`read::Read`]), is given what they found, and either asks again or is done. [`round`] is the dataflow
//! of it: rounds of "look up" and "gather", as many as the query needs.
//! Where all workers are in one process, [`board`] runs the same plans on the reader's own thread.

mod board;
mod neighbours;
mod pair;
mod plan;
mod playlist;
mod popular;
mod read;
mod recommend;
mod round;
mod state;
mod tally;
mod track;
mod trending;

use serde::{Deserialize, Serialize};

pub use crate::catalogue::TrackCard;
pub use crate::views::trending::Growth;
pub use board::{Board, Foreseen, GraphLease, Lease, Pin};
pub use pair::Both;
pub use plan::Desk;
pub(crate) use read::{Counted, LOCKED, counted};
pub use recommend::BECAUSE_MAX;
pub use round::{Hub, Local, Round, rounds};
pub use tally::Tally;

use crate::day::Day;
use crate::digest::Digest;
use crate::ids::{PlaylistId, TrackId};
use crate::scoring::Likeness;
use crate::settings;

/// A question with a name for its answer, unique on the worker where it enters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Query {
    /// Comes back with the answer.
    pub id: u64,
    /// What is asked.
    pub question: Question,
}

/// What can be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question {
    /// Which tracks go with these?
    Recommend(Recommend),
    /// What is in this playlist?
    Playlist(PlaylistId),
    /// What is known of this track?
    Track(TrackId),
    /// Which tracks share most playlists with this one?
    Neighbours {
        /// Whose neighbours.
        track: TrackId,
        /// How many at the most; the setting `neighbours.keep` bounds it too.
        limit: usize,
    },
    /// How often do playlists that hold this track hold the other one too?
    Pair {
        /// This one.
        track: TrackId,
        /// The other.
        with: TrackId,
    },
    /// Which tracks do most playlists hold?
    Popular {
        /// How many at the most.
        limit: usize,
    },
    /// Which tracks are added more than they were?
    Trending {
        /// Days of the window, and of the one before it.
        days: u16,
        /// How many at the most.
        limit: usize,
    },
    /// How much is there?
    State,
}

/// A question for recommendations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recommend {
    /// What they should go with.
    pub seeds: Seeds,
    /// What they should be called together. Of a playlist's own seeds it is the playlist's title, if nothing
    /// else is said.
    pub title: Option<Box<str>>,
    /// Whether the seeds are a random part of a list, not its beginning.
    pub random_seeds: bool,
    /// Tracks not to be recommended. Seeds never are.
    pub exclude: Vec<TrackId>,
    /// How many; so many come while there are other tracks.
    pub limit: usize,
    /// How many by one artist at the most.
    pub max_per_artist: Option<usize>,
    /// Whether to say why.
    pub explain: bool,
    /// Other knobs than the engine's own: to compare.
    pub knobs: Option<Box<settings::Recommend>>,
}

impl Recommend {
    /// For these seeds, and nothing special.
    pub fn new(seeds: Seeds, limit: usize) -> Self {
        Recommend {
            seeds,
            title: None,
            random_seeds: false,
            exclude: Vec::new(),
            limit,
            max_per_artist: None,
            explain: false,
            knobs: None,
        }
    }
}

/// The seeds of a recommendation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Seeds {
    /// These tracks.
    Tracks(Vec<TrackId>),
    /// The tracks of this playlist as it stands.
    Playlist(PlaylistId),
}

/// An answer: true as-of one epoch, on all workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The epoch, in milliseconds since the Unix epoch.
    pub as_of: u64,
    /// By partition of the log, the offset of the first event that it does not include.
    pub next: Vec<u64>,
    /// What was found.
    pub body: Body,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Best first. None: the playlist that was to give the seeds is not there.
    Recommendations(Option<Recommendations>),
    /// None if there is no such playlist.
    Playlist(Option<PlaylistAnswer>),
    /// None if there is no such track.
    Track(Option<TrackAnswer>),
    /// None if there is no such track.
    Neighbours(Option<NeighboursAnswer>),
    /// Or the track that is not there.
    Pair(Result<Box<PairAnswer>, TrackId>),
    /// Tracks with the number of playlists that hold them, most first.
    Popular(Vec<(TrackCard, u32)>),
    /// Those that have grown.
    Trending(TrendingAnswer),
    /// The sums.
    State(State),
}

/// Recommended tracks, and the seeds that no playlist holds, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommendations {
    /// Best first.
    pub tracks: Vec<Recommended>,
    /// In the order asked.
    pub unknown_seeds: Vec<TrackId>,
}

/// One recommended track.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommended {
    /// Which.
    pub track: TrackCard,
    /// Between 0 and 1, and to be compared within a source. From votes: the share of all votes that it has,
    /// times what its artist and its popularity make of it. Of a track that fills the list: the share of all
    /// playlists that hold it.
    pub score: f64,
    /// What brought it here.
    pub source: Source,
    /// Where it was asked for, the seeds that led to it: what they contributed most first, at most
    /// [`BECAUSE_MAX`].
    pub because: Option<Vec<Because>>,
}

/// A seed that led to a track.
#[derive(Clone, Debug, PartialEq)]
pub struct Because {
    /// Its URI.
    pub seed: Box<str>,
    /// How many of the playlists that voted hold both.
    pub shared: u32,
    /// How many of them hold the seed.
    pub of: u32,
    /// The share of the track's votes that is the seed's: a playlist's vote is its seeds', by their weights.
    pub share: f64,
}

/// What brought a track into the recommendations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Playlists that share seeds.
    Cooccurrence,
    /// Playlists that have a like title, and nothing else.
    Title,
    /// It is by the artist of a seed.
    Artist,
    /// Its popularity.
    Popular,
}

/// A playlist and its tracks.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaylistAnswer {
    /// URI, title, number of entries.
    pub playlist: crate::apply::Playlist,
    /// Its tracks, in id order: a playlist is a set here.
    pub tracks: Vec<TrackCard>,
}

/// A track.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackAnswer {
    /// URI and names.
    pub track: TrackCard,
    /// How many playlists hold it.
    pub playlists: u32,
}

/// The tracks that are added more than they were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrendingAnswer {
    /// The last day of the window; none if nothing was ever added.
    pub through: Day,
    /// Most grown first, ties by id.
    pub chart: Vec<(TrackAnswer, Growth)>,
}

/// A track and its neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct NeighboursAnswer {
    /// Whose.
    pub track: TrackAnswer,
    /// How many of its playlists were counted; all of them where that is how many there are.
    pub sampled: u32,
    /// If they are from the track's row in the graph: the epoch as-of which it is exact. Else they were counted
    /// for this answer.
    pub graph: Option<u64>,
    /// Most shared first, ties by id.
    pub neighbours: Vec<Neighbour>,
}

/// A track that shares playlists with another.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Which.
    pub track: TrackCard,
    /// How many of the sampled playlists hold both.
    pub shared: u32,
    /// Estimated cosine of the two tracks' playlists: 0 to 1.
    pub similarity: f64,
}

/// Two tracks beside each other.
#[derive(Clone, Debug, PartialEq)]
pub struct PairAnswer {
    /// The first.
    pub track: TrackAnswer,
    /// The other.
    pub with: TrackAnswer,
    /// How many playlists hold both.
    pub both: Both,
    /// How alike that makes them.
    pub likeness: Likeness,
}

/// The state as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Playlists, empty ones included.
    pub playlists: u64,
    /// Entries.
    pub entries: u64,
    /// Tracks that some playlist holds.
    pub tracks: u64,
    /// Of the entries.
    pub digest: Digest,
}
