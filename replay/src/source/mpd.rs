//! Slices of the Million Playlist Dataset, exactly as published.
//!
//! One slice's text at a time is in memory (33 MB as published), and of that text one playlist is decoded
//! at a time, borrowing its strings: twice as fast as decoding from a stream, which must copy each string
//! (115–154 MB/s against 59–61, side by side). Memory depends on the largest slice, not on the folder.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;
use segue_dataflow::event::{ID_BYTES_MAX, Named, TRACKS_MAX, Text, Track};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::file::{Slurped, slurp};
use super::{Counted, Describer, Fault, Sink, shown};

#[derive(Deserialize)]
struct Playlist<'a> {
    pid: u64,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    /// Seconds since the Unix epoch.
    #[serde(default)]
    modified_at: i64,
    #[serde(borrow)]
    tracks: Vec<Row<'a>>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow, default)]
    track_uri: Cow<'a, str>,
    #[serde(borrow, default)]
    track_name: Cow<'a, str>,
    #[serde(borrow, default)]
    artist_uri: Cow<'a, str>,
    #[serde(borrow, default)]
    artist_name: Cow<'a, str>,
    #[serde(borrow, default)]
    album_uri: Cow<'a, str>,
    #[serde(borrow, default)]
    album_name: Cow<'a, str>,
    #[serde(default)]
    duration_ms: u64,
}

/// Reads the slice `path`, `text` being room for its text.
pub fn read(
    path: &Path,
    text: &mut Vec<u8>,
    describer: &mut Describer,
    sink: &mut Counted<'_>,
) -> ControlFlow<()> {
    let slurped = slurp(path, text);
    if let Slurped::TooLarge = slurped {
        sink.fault(Fault::TooLarge { path: shown(path) });
        return ControlFlow::Continue(());
    }
    let mut stopped = false;
    let slice = Slice { path, describer, sink, stopped: &mut stopped };
    let mut json = serde_json::Deserializer::from_slice(text);
    let parsed = slice.deserialize(&mut json).and_then(|()| json.end());
    if stopped {
        return ControlFlow::Break(());
    }
    match (slurped, parsed) {
        (Slurped::Broken(source), _) => {
            let begin = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let line = 1 + text.iter().filter(|b| **b == b'\n').count() as u64;
            let column = text.len() - begin;
            sink.fault(Fault::Unreadable { path: shown(path), line, column, source });
        }
        (_, Err(e)) => {
            let (line, column) = (e.line(), e.column());
            let what = e.to_string();
            let what = what.split(" at line ").next().unwrap_or(&what).to_owned();
            sink.fault(Fault::Slice { path: shown(path), line, column, what });
        }
        (_, Ok(())) => {}
    }
    sink.read(std::fs::metadata(path).map_or(0, |m| m.len()));
    ControlFlow::Continue(())
}

/// Decodes `{info, playlists: […]}` playlist by playlist.
struct Slice<'a, 'b> {
    path: &'a Path,
    describer: &'a mut Describer,
    sink: &'a mut Counted<'b>,
    stopped: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Slice<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Slice<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `playlists`")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "playlists" && !found {
                map.next_value_seed(Playlists(&mut self))?;
                found = true;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::missing_field("playlists")) }
    }
}

struct Playlists<'a, 'b, 'c>(&'a mut Slice<'b, 'c>);

impl<'de> DeserializeSeed<'de> for Playlists<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Playlists<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of playlists")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(playlist) = list.next_element::<Playlist<'de>>()? {
            if self.0.take(playlist).is_break() {
                *self.0.stopped = true;
                return Err(A::Error::custom("the reading was broken off"));
            }
        }
        Ok(())
    }
}

impl Slice<'_, '_> {
    fn take(&mut self, playlist: Playlist<'_>) -> ControlFlow<()> {
        let rows = playlist.tracks.len();
        let tracks: Vec<_> = playlist.tracks.into_iter().filter_map(Row::track).collect();
        self.sink.counts.playlists += 1;
        self.sink.counts.rows += rows as u64;
        self.sink.counts.rows_without_track += (rows - tracks.len()) as u64;
        let uri = format!("mpd:playlist:{}", playlist.pid);
        let at_ms = Timestamp::from_second(playlist.modified_at).map_or(0, Timestamp::as_millisecond);
        let title = known(playlist.name.clone());
        self.describer.put(&uri, title, at_ms, tracks, TRACKS_MAX, self.sink).unwrap_or_else(|tracks| {
            self.sink.fault(Fault::TooManyTracks {
                path: shown(self.path),
                playlist: uri,
                title: playlist.name.into_owned(),
                tracks,
                max: TRACKS_MAX,
            });
            ControlFlow::Continue(())
        })
    }
}

impl<'a> Row<'a> {
    /// The track of the row, if it names one.
    fn track(self) -> Option<Track<'a>> {
        let named = |uri, name| id(uri).map(|uri| Named { uri, name: known(name) });
        Some(Track {
            uri: id(self.track_uri)?,
            name: known(self.track_name),
            artist: named(self.artist_uri, self.artist_name),
            album: named(self.album_uri, self.album_name),
            // What is not known is 0 in the data set; no track lasts so long.
            duration_ms: u32::try_from(self.duration_ms).ok().filter(|&ms| ms > 0),
        })
    }
}

/// An empty string says that something is not known.
fn known(text: Cow<'_, str>) -> Option<Text<'_>> {
    Some(text).filter(|t| !t.is_empty())
}

/// A URI that the schema would take.
fn id(text: Cow<'_, str>) -> Option<Text<'_>> {
    known(text).filter(|t| t.len() <= ID_BYTES_MAX && !t.chars().any(char::is_control))
}
