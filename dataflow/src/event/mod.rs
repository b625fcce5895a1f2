//! Events: one change to a playlist (or to the catalogue) as it stands on the log.
//!
//! [`decode`] turns the bytes of one record into a typed [`Event`] or says precisely why not;
//! [`Event::to_json`] is its inverse. Text is borrowed from the record where JSON allows it.

mod decode;
mod encode;

use std::borrow::Cow;

pub use decode::{Code, Rejection, decode, deletion};

/// Entries that one `playlist_put` may carry.
pub const TRACKS_MAX: usize = 20_000;
/// Bytes that one event may have.
pub const EVENT_BYTES_MAX: usize = 16 << 20;
/// Bytes that a URI may have.
pub const ID_BYTES_MAX: usize = 512;
/// Milliseconds that a track may last: 2^32 - 1, about 49 days.
pub const DURATION_MS_MAX: u32 = u32::MAX;

/// Text of an event, borrowed from the record where that is possible.
pub type Text<'a> = Cow<'a, str>;

/// One event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// When it happened, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What happened.
    pub change: Change<'a>,
}

/// What an event says. The wire names of these are in design order: `playlist_put`, `playlist_titled`,
/// `track_added`, `track_removed`, `playlist_deleted`, `track_described`, `track_forgotten`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The playlist becomes exactly this.
    PlaylistPut {
        /// URI of the playlist.
        playlist: Text<'a>,
        /// Its title; none if it has none.
        title: Option<Text<'a>>,
        /// Its tracks. Repeated ones count once.
        tracks: Vec<Track<'a>>,
    },
    /// The playlist has this title from now on.
    PlaylistTitled {
        /// URI of the playlist.
        playlist: Text<'a>,
        /// Its title.
        title: Text<'a>,
    },
    /// The playlist holds this track. No effect if it did already, but for the names.
    TrackAdded {
        /// URI of the playlist.
        playlist: Text<'a>,
        /// The track, with what names came along.
        track: Track<'a>,
    },
    /// The playlist does not hold this track. No effect if it did not.
    TrackRemoved {
        /// URI of the playlist.
        playlist: Text<'a>,
        /// URI of the track.
        track: Text<'a>,
    },
    /// The playlist is gone.
    PlaylistDeleted {
        /// URI of the playlist.
        playlist: Text<'a>,
    },
    /// Names for the catalogue, which stay until the track is forgotten.
    TrackDescribed {
        /// The track and its names.
        track: Track<'a>,
    },
    /// The described names of this track are to be forgotten.
    TrackForgotten {
        /// URI of the track.
        track: Text<'a>,
    },
}

/// A track, with the names that came along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track<'a> {
    /// Its URI.
    pub uri: Text<'a>,
    /// Its name.
    pub name: Option<Text<'a>>,
    /// Its artist.
    pub artist: Option<Named<'a>>,
    /// Its album.
    pub album: Option<Named<'a>>,
    /// How long it lasts, in milliseconds.
    pub duration_ms: Option<u32>,
}

/// An artist or an album.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<'a> {
    /// Its URI.
    pub uri: Text<'a>,
    /// Its name.
    pub name: Option<Text<'a>>,
}

impl<'a> Track<'a> {
    /// A track without names.
    pub fn new(uri: impl Into<Text<'a>>) -> Self {
        Track { uri: uri.into(), ..Track::default() }
    }

    /// Whether anything but the URI is known.
    pub fn has_names(&self) -> bool {
        self.name.is_some() || self.artist.is_some() || self.album.is_some() || self.duration_ms.is_some()
    }
}

impl Event<'_> {
    /// What the log is partitioned by: the URI of the playlist, or of the track for the catalogue.
    pub fn key(&self) -> &str {
        match &self.change {
            Change::PlaylistPut { playlist, .. }
            | Change::PlaylistTitled { playlist, .. }
            | Change::TrackAdded { playlist, .. }
            | Change::TrackRemoved { playlist, .. }
            | Change::PlaylistDeleted { playlist } => playlist,
            Change::TrackDescribed { track } => &track.uri,
            Change::TrackForgotten { track } => track,
        }
    }
}
