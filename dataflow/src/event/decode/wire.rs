//! The wire form of an event, and its check.
//!
//! Every field is optional here, so that what is missing is found by us, with its name; what JSON or serde
//! finds is a syntax error or a wrong type, with its path.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Code, Rejection};
use crate::event::{Change, DURATION_MS_MAX, Event, ID_BYTES_MAX, Named, TRACKS_MAX, Text, Track};

/// A JSON object, and no array of its members in their order, which serde would take as well.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Text that stays borrowed inside an `Option`, which a plain `Option<Cow<str>>` does not. (serde knows
/// `Cow` by its name only: the alias [`Text`] would be copied.)
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

/// An event, any of its fields.
#[derive(Deserialize)]
pub struct WireEvent<'a> {
    v: Option<serde_json::Number>,
    #[serde(rename = "type", borrow)]
    kind: Option<Borrowed<'a>>,
    #[serde(borrow)]
    playlist: Option<Borrowed<'a>>,
    #[serde(borrow)]
    title: Option<Borrowed<'a>>,
    #[serde(borrow)]
    track: Option<Object<WireTrack<'a>>>,
    #[serde(borrow)]
    tracks: Option<Vec<Object<WireTrack<'a>>>>,
    #[serde(borrow)]
    at: Option<Borrowed<'a>>,
}

#[derive(Deserialize)]
struct WireTrack<'a> {
    #[serde(borrow)]
    uri: Option<Borrowed<'a>>,
    #[serde(borrow)]
    name: Option<Borrowed<'a>>,
    #[serde(borrow)]
    artist: Option<Object<WireNamed<'a>>>,
    #[serde(borrow)]
    album: Option<Object<WireNamed<'a>>>,
    duration_ms: Option<serde_json::Number>,
}

#[derive(Deserialize)]
struct WireNamed<'a> {
    #[serde(borrow)]
    uri: Option<Borrowed<'a>>,
    #[serde(borrow)]
    name: Option<Borrowed<'a>>,
}

impl<'a> WireEvent<'a> {
    /// The event, if it is one.
    pub fn check(self) -> Result<Event<'a>, Rejection> {
        if let Some(v) = self.v.filter(|v| v.as_u64() != Some(1)) {
            return Err(Rejection::new(Code::UnknownVersion, "v", format!("version {v} is not known, 1 is")));
        }
        let kind = need(self.kind, "type")?;
        let at_ms = time(&need(self.at, "at")?)?;
        let playlist = |field| id(need(self.playlist, field)?.0, field);
        let bare = |track: Option<Object<WireTrack<'a>>>| {
            id(need(need(track, "track")?.0.uri, "track.uri")?.0, "track.uri")
        };
        let change = match &*kind.0 {
            "playlist_put" => Change::PlaylistPut {
                playlist: playlist("playlist")?,
                title: self.title.map(|t| t.0),
                tracks: tracks(need(self.tracks, "tracks")?)?,
            },
            "playlist_titled" => Change::PlaylistTitled {
                playlist: playlist("playlist")?,
                title: need(self.title, "title")?.0,
            },
            "track_added" => Change::TrackAdded {
                playlist: playlist("playlist")?,
                track: need(self.track, "track")?.0.check(&|| "track".into())?,
            },
            "track_removed" => {
                Change::TrackRemoved { playlist: playlist("playlist")?, track: bare(self.track)? }
            }
            "playlist_deleted" => Change::PlaylistDeleted { playlist: playlist("playlist")? },
            "track_described" => {
                Change::TrackDescribed { track: need(self.track, "track")?.0.check(&|| "track".into())? }
            }
            "track_forgotten" => Change::TrackForgotten { track: bare(self.track)? },
            other => {
                let detail = format!("type {other:?} is not known; the schema has seven types of event");
                return Err(Rejection::new(Code::UnknownType, "type", detail));
            }
        };
        Ok(Event { at_ms, change })
    }
}

impl<'a> WireTrack<'a> {
    fn check(self, field: &dyn Fn() -> String) -> Result<Track<'a>, Rejection> {
        let sub = |name: &str| format!("{}.{name}", field());
        Ok(Track {
            uri: uri(self.uri, &|| sub("uri"))?,
            name: known(self.name),
            artist: self.artist.map(|a| a.0.check(&|| sub("artist"))).transpose()?,
            album: self.album.map(|a| a.0.check(&|| sub("album"))).transpose()?,
            duration_ms: self.duration_ms.map(|n| duration(&n, || sub("duration_ms"))).transpose()?,
        })
    }
}

impl<'a> WireNamed<'a> {
    fn check(self, field: &dyn Fn() -> String) -> Result<Named<'a>, Rejection> {
        Ok(Named { uri: uri(self.uri, &|| format!("{}.uri", field()))?, name: known(self.name) })
    }
}

fn tracks(wire: Vec<Object<WireTrack<'_>>>) -> Result<Vec<Track<'_>>, Rejection> {
    if wire.len() > TRACKS_MAX {
        let detail = format!("the playlist has {} tracks, at most {TRACKS_MAX} are taken", wire.len());
        return Err(Rejection::new(Code::TooManyTracks, "tracks", detail));
    }
    wire.into_iter().enumerate().map(|(i, t)| t.0.check(&|| format!("tracks[{i}]"))).collect()
}

/// An empty name says no more than none.
fn known(name: Option<Borrowed<'_>>) -> Option<Text<'_>> {
    name.map(|n| n.0).filter(|n| !n.is_empty())
}

fn need<T>(value: Option<T>, field: &str) -> Result<T, Rejection> {
    value.ok_or_else(|| Rejection::new(Code::MissingField, field, format!("field `{field}` is missing")))
}

/// An id that is there.
pub fn id<'a>(text: impl Into<Text<'a>>, field: &str) -> Result<Text<'a>, Rejection> {
    uri(Some(Borrowed(text.into())), &|| field.to_owned())
}

fn uri<'a>(text: Option<Borrowed<'a>>, field: &dyn Fn() -> String) -> Result<Text<'a>, Rejection> {
    let Some(Borrowed(text)) = text else {
        let field = field();
        return Err(Rejection::new(Code::MissingField, &*field, format!("field `{field}` is missing")));
    };
    let (code, detail) = match text.len() {
        0 => (Code::EmptyId, "is empty".to_owned()),
        n if n > ID_BYTES_MAX => {
            (Code::IdTooLong, format!("has {n} bytes, at most {ID_BYTES_MAX} are taken"))
        }
        _ if text.chars().any(char::is_control) => {
            (Code::ControlCharacter, "has a control character".to_owned())
        }
        _ => return Ok(text),
    };
    let field = field();
    Err(Rejection::new(code, &*field, format!("field `{field}` {detail}")))
}

fn time(text: &Borrowed<'_>) -> Result<i64, Rejection> {
    text.0.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(|e| {
        let detail = format!("`at` is not an RFC 3339 time such as 2024-05-01T12:00:00Z: {e}");
        Rejection::new(Code::BadTime, "at", detail)
    })
}

fn duration(number: &serde_json::Number, field: impl Fn() -> String) -> Result<u32, Rejection> {
    number.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
        let field = field();
        let detail = format!("field `{field}` is {number}, not a whole number from 0 to {DURATION_MS_MAX}");
        Rejection::new(Code::OutOfRange, field, detail)
    })
}
