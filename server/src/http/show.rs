//! The shapes of answers in JSON. What is not known is left out.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use segue_dataflow::apply::Playlist;
use segue_dataflow::catalogue::TrackCard;
use segue_dataflow::day::Day;
use segue_dataflow::edit::Party;
use segue_dataflow::query::{Because, Growth, Neighbour, Recommended, Source, TrendingAnswer};
use serde::Serialize;

/// `{"epoch","at"}`
#[derive(Serialize)]
pub struct AsOf {
    epoch: u64,
    at: Timestamp,
}

impl AsOf {
    /// Of an epoch.
    pub fn new(epoch: u64) -> Self {
        let at = i64::try_from(epoch).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        AsOf { epoch, at: at.unwrap_or_default() }
    }
}

/// `{"uri","name","artist","album","duration_ms"}`
#[derive(Serialize)]
pub struct Track<'a> {
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artist: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    album: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u32>,
}

impl<'a> Track<'a> {
    /// Of a card.
    pub fn new(card: &'a TrackCard) -> Self {
        let names = &card.names;
        Track {
            uri: &card.uri,
            name: names.name.as_deref(),
            artist: names.artist.as_ref().map(Named::new),
            album: names.album.as_ref().map(Named::new),
            duration_ms: names.duration_ms,
        }
    }
}

/// `{"uri","name"}`
#[derive(Serialize)]
struct Named<'a> {
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl<'a> Named<'a> {
    fn new(party: &'a Party) -> Self {
        Named { uri: &party.uri, name: party.name.as_deref() }
    }
}

/// `{"rank","track","score","source","because"}`
#[derive(Serialize)]
pub struct Recommendation<'a> {
    rank: usize,
    track: Track<'a>,
    score: f64,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<Vec<Reason<'a>>>,
}

/// `{"seed","shared","of","share"}`
#[derive(Serialize)]
struct Reason<'a> {
    seed: &'a str,
    shared: u32,
    of: u32,
    share: f64,
}

impl<'a> Reason<'a> {
    fn new(because: &'a Because) -> Self {
        let Because { seed, shared, of, share } = because;
        Reason { seed, shared: *shared, of: *of, share: *share }
    }
}

/// Ranked from 1.
pub fn recommendations(all: &[Recommended]) -> Vec<Recommendation<'_>> {
    (1..)
        .zip(all)
        .map(|(rank, found)| {
            let track = Track::new(&found.track);
            let because = found.because.as_ref().map(|all| all.iter().map(Reason::new).collect());
            Recommendation { rank, track, score: found.score, source: found.source, because }
        })
        .collect()
}

/// `{"track","shared","similarity"}`
#[derive(Serialize)]
pub struct Beside<'a> {
    track: Track<'a>,
    shared: u32,
    similarity: f64,
}

/// In their order.
pub fn neighbours(all: &[Neighbour]) -> Vec<Beside<'_>> {
    all.iter()
        .map(|Neighbour { track, shared, similarity }| Beside {
            track: Track::new(track),
            shared: *shared,
            similarity: *similarity,
        })
        .collect()
}

/// `{"rank","track","playlists"}`
#[derive(Serialize)]
pub struct Place<'a> {
    rank: usize,
    track: Track<'a>,
    playlists: u32,
}

/// Ranked from 1.
pub fn chart(all: &[(TrackCard, u32)]) -> Vec<Place<'_>> {
    (1..)
        .zip(all)
        .map(|(rank, (track, playlists))| Place { rank, track: Track::new(track), playlists: *playlists })
        .collect()
}

/// `{"rank","track","playlists","added","before","growth"}`
#[derive(Serialize)]
pub struct Grown<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    added: u32,
    before: u32,
    growth: f64,
}

/// Ranked from 1.
pub fn trending(found: &TrendingAnswer) -> Vec<Grown<'_>> {
    (1..)
        .zip(&found.chart)
        .map(|(rank, (answer, growth))| {
            let (track, playlists) = (Track::new(&answer.track), answer.playlists);
            let Growth { added, before } = *growth;
            Grown { place: Place { rank, track, playlists }, added, before, growth: growth.standard_errors() }
        })
        .collect()
}

/// `2026-01-31`; null if it is none.
pub fn date(day: Day) -> Option<Date> {
    let start = Timestamp::from_millisecond(day.start_ms()).ok()?;
    (day != Day::default()).then(|| start.to_zoned(TimeZone::UTC).date())
}

/// `{"uri","title","entries"}`
#[derive(Serialize)]
pub struct PlaylistCard<'a> {
    uri: &'a str,
    title: Option<&'a str>,
    entries: u32,
}

impl<'a> PlaylistCard<'a> {
    /// Of a playlist.
    pub fn new(playlist: &'a Playlist) -> Self {
        PlaylistCard { uri: &playlist.uri, title: playlist.title.as_deref(), entries: playlist.entries }
    }
}
