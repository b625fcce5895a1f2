//! Events as JSON, in the one schema (`v` 1) that [`super::decode`] reads.

use std::fmt;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Change, Event, Named, Track};

impl Event<'_> {
    /// The event as one line of JSON, without a line end.
    pub fn to_json(&self) -> String {
        self.to_string()
    }
}

/// The same JSON, for whoever writes to a stream.
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("v", &1)?;
        map.serialize_entry("type", self.change.wire_name())?;
        match &self.change {
            Change::PlaylistPut { playlist, title, tracks } => {
                map.serialize_entry("playlist", playlist)?;
                if let Some(title) = title {
                    map.serialize_entry("title", title)?;
                }
                map.serialize_entry("tracks", tracks)?;
            }
            Change::PlaylistTitled { playlist, title } => {
                map.serialize_entry("playlist", playlist)?;
                map.serialize_entry("title", title)?;
            }
            Change::TrackAdded { playlist, track } => {
                map.serialize_entry("playlist", playlist)?;
                map.serialize_entry("track", track)?;
            }
            Change::TrackRemoved { playlist, track } => {
                map.serialize_entry("playlist", playlist)?;
                map.serialize_entry("track", &Track::new(&**track))?;
            }
            Change::PlaylistDeleted { playlist } => map.serialize_entry("playlist", playlist)?,
            Change::TrackDescribed { track } => map.serialize_entry("track", track)?,
            Change::TrackForgotten { track } => map.serialize_entry("track", &Track::new(&**track))?,
        }
        // Decoding refuses times that jiff cannot say, so only a hand-made event can come to the default.
        map.serialize_entry("at", &Timestamp::from_millisecond(self.at_ms).unwrap_or_default())?;
        map.end()
    }
}

impl Serialize for Track<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("uri", &self.uri)?;
        if let Some(name) = &self.name {
            map.serialize_entry("name", name)?;
        }
        if let Some(artist) = &self.artist {
            map.serialize_entry("artist", artist)?;
        }
        if let Some(album) = &self.album {
            map.serialize_entry("album", album)?;
        }
        if let Some(duration_ms) = &self.duration_ms {
            map.serialize_entry("duration_ms", duration_ms)?;
        }
        map.end()
    }
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("uri", &self.uri)?;
        if let Some(name) = &self.name {
            map.serialize_entry("name", name)?;
        }
        map.end()
    }
}

impl Change<'_> {
    /// The `type` on the wire.
    pub fn wire_name(&self) -> &'static str {
        match self {
            Change::PlaylistPut { .. } => "playlist_put",
            Change::PlaylistTitled { .. } => "playlist_titled",
            Change::TrackAdded { .. } => "track_added",
            Change::TrackRemoved { .. } => "track_removed",
            Change::PlaylistDeleted { .. } => "playlist_deleted",
            Change::TrackDescribed { .. } => "track_described",
            Change::TrackForgotten { .. } => "track_forgotten",
        }
    }
}
