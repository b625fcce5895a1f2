//! One record of the log, decoded: a typed event, or a code, a field and a sentence.

mod wire;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use super::{Change, EVENT_BYTES_MAX, Event};
use wire::{Object, WireEvent, id};

/// Why a record is no event. Stable: clients and metrics see these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The text is not JSON.
    MalformedJson,
    /// More than [`EVENT_BYTES_MAX`] bytes.
    TooLarge,
    /// A field has another JSON type than the schema says, or stands twice.
    WrongType,
    /// `type` is none of the seven.
    UnknownType,
    /// `v` is not 1.
    UnknownVersion,
    /// A field that this type of event needs is not there.
    MissingField,
    /// A URI is the empty string.
    EmptyId,
    /// A URI has more than [`ID_BYTES_MAX`](super::ID_BYTES_MAX) bytes.
    IdTooLong,
    /// A URI has a control character.
    ControlCharacter,
    /// More than [`TRACKS_MAX`](super::TRACKS_MAX) tracks.
    TooManyTracks,
    /// `at` is not an RFC 3339 time.
    BadTime,
    /// A number is outside its range.
    OutOfRange,
    /// Another string has this id already (see `design`: ids are hashes).
    IdTaken,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A record that is no event, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{code}: {detail}")]
pub struct Rejection {
    /// What is wrong, for programs.
    pub code: Code,
    /// Where, as a path such as `tracks[3].uri`; empty if it is the record as a whole.
    pub field: String,
    /// What is wrong and what would be right, for people.
    pub detail: String,
}

impl Rejection {
    /// A rejection of `field`.
    pub fn new(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Rejection { code, field: field.into(), detail: detail.into() }
    }
}

/// What a record without a payload (a tombstone) says: the playlist that its key names is gone. It has no
/// time of its own, so it stands at the beginning of time, which nothing that it does depends on.
///
/// # Errors
/// If the key is no URI of a playlist.
pub fn deletion(key: &[u8]) -> Result<Event<'_>, Rejection> {
    let key = std::str::from_utf8(key).map_err(|error| {
        Rejection::new(Code::NotUtf8, "key", format!("the key of a tombstone is not UTF-8: {error}"))
    })?;
    let playlist = id(key, "key")?;
    Ok(Event { at_ms: 0, change: Change::PlaylistDeleted { playlist } })
}

/// Decodes one record: a JSON object in UTF-8.
pub fn decode(record: &[u8]) -> Result<Event<'_>, Rejection> {
    if record.len() > EVENT_BYTES_MAX {
        let detail = format!("the event has {} bytes, at most {EVENT_BYTES_MAX} are taken", record.len());
        return Err(Rejection::new(Code::TooLarge, "", detail));
    }
    let text = str::from_utf8(record).map_err(|e| {
        Rejection::new(Code::NotUtf8, "", format!("the event is not UTF-8 from byte {} on", e.valid_up_to()))
    })?;
    match serde_json::from_str::<Object<WireEvent<'_>>>(text) {
        Ok(Object(wire)) => wire.check(),
        Err(_) => Err(diagnose(text)),
    }
}

/// Reads a record that serde refused once more, slowly, to say where it went wrong.
fn diagnose(text: &str) -> Rejection {
    let mut json = serde_json::Deserializer::from_str(text);
    let result: Result<Object<WireEvent<'_>>, _> = serde_path_to_error::deserialize(&mut json);
    let (path, error) = match (result, json.end()) {
        (Err(e), _) => (e.path().to_string(), e.into_inner()),
        (Ok(_), Err(e)) => (String::new(), e),
        (Ok(_), Ok(())) => return Rejection::new(Code::MalformedJson, "", "the event could not be read"),
    };
    match error.classify() {
        Category::Data => {
            let field = if path == "." { String::new() } else { path };
            Rejection::new(Code::WrongType, field, format!("the event does not follow the schema: {error}"))
        }
        _ => Rejection::new(Code::MalformedJson, "", format!("the event is not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ID_BYTES_MAX, Named, TRACKS_MAX, Text, Track};

    #[test]
    fn a_tombstone_deletes_the_playlist_of_its_key() {
        let event = deletion(b"mpd:playlist:7").expect("a URI");
        assert_eq!(event.change, Change::PlaylistDeleted { playlist: "mpd:playlist:7".into() });
        for (key, code) in [
            (&b""[..], Code::EmptyId),
            (b"a\xff", Code::NotUtf8),
            (b"a\nb", Code::ControlCharacter),
            (&[b'x'; ID_BYTES_MAX + 1], Code::IdTooLong),
        ] {
            let refused = deletion(key).expect_err("no URI");
            assert_eq!((refused.code, &*refused.field), (code, "key"));
        }
    }

    fn refused(json: &str) -> (Code, String) {
        let rejection = decode(json.as_bytes()).expect_err(json);
        (rejection.code, rejection.field)
    }

    #[test]
    fn what_is_refused_and_where() {
        let at = r#""at":"2024-05-01T12:00:00Z""#;
        let long = "x".repeat(ID_BYTES_MAX + 1);
        let many = vec![r#"{"uri":"t"}"#; TRACKS_MAX + 1].join(",");
        for (json, code, field) in [
            (r#"{"type":"#.to_owned(), Code::MalformedJson, ""),
            (format!(r#"{{"type":"playlist_deleted","playlist":"p",{at}}} x"#), Code::MalformedJson, ""),
            ("[]".into(), Code::WrongType, ""),
            (r#"[1, "playlist_deleted", "p"]"#.into(), Code::WrongType, ""),
            (
                format!(r#"{{"type":"track_added","playlist":"p","track":["t", "a name"],{at}}}"#),
                Code::WrongType,
                "track",
            ),
            (
                format!(
                    r#"{{"type":"playlist_put","playlist":"p","tracks":[{{"uri":"t","artist":["a"]}}],{at}}}"#
                ),
                Code::WrongType,
                "tracks[0].artist",
            ),
            (format!(r#"{{"type":"playlist_deleted","playlist":7,{at}}}"#), Code::WrongType, "playlist"),
            (
                format!(r#"{{"type":"playlist_put","playlist":"p","tracks":[{{"uri":[]}}],{at}}}"#),
                Code::WrongType,
                "tracks[0].uri",
            ),
            (format!(r#"{{"type":"playlist_eaten","playlist":"p",{at}}}"#), Code::UnknownType, "type"),
            (
                format!(r#"{{"v":2,"type":"playlist_deleted","playlist":"p",{at}}}"#),
                Code::UnknownVersion,
                "v",
            ),
            (format!(r#"{{"playlist":"p",{at}}}"#), Code::MissingField, "type"),
            (format!(r#"{{"type":"playlist_deleted",{at}}}"#), Code::MissingField, "playlist"),
            (format!(r#"{{"type":"track_added","playlist":"p",{at}}}"#), Code::MissingField, "track"),
            (
                format!(r#"{{"type":"track_removed","playlist":"p","track":{{}},{at}}}"#),
                Code::MissingField,
                "track.uri",
            ),
            (r#"{"type":"playlist_deleted","playlist":"p"}"#.into(), Code::MissingField, "at"),
            (format!(r#"{{"type":"playlist_titled","playlist":"p",{at}}}"#), Code::MissingField, "title"),
            (format!(r#"{{"type":"playlist_deleted","playlist":"",{at}}}"#), Code::EmptyId, "playlist"),
            (
                format!(r#"{{"type":"playlist_deleted","playlist":"{long}",{at}}}"#),
                Code::IdTooLong,
                "playlist",
            ),
            (
                format!(r#"{{"type":"playlist_deleted","playlist":"a\u0000b",{at}}}"#),
                Code::ControlCharacter,
                "playlist",
            ),
            (
                format!(r#"{{"type":"playlist_put","playlist":"p","tracks":[{many}],{at}}}"#),
                Code::TooManyTracks,
                "tracks",
            ),
            (r#"{"type":"playlist_deleted","playlist":"p","at":"yesterday"}"#.into(), Code::BadTime, "at"),
            (
                r#"{"type":"playlist_deleted","playlist":"p","at":"2024-05-01T12:00:00"}"#.into(),
                Code::BadTime,
                "at",
            ),
            (
                format!(r#"{{"type":"track_described","track":{{"uri":"t","duration_ms":-1}},{at}}}"#),
                Code::OutOfRange,
                "track.duration_ms",
            ),
            (
                format!(r#"{{"type":"track_described","track":{{"uri":"t","duration_ms":1.5}},{at}}}"#),
                Code::OutOfRange,
                "track.duration_ms",
            ),
            (
                format!(r#"{{"type":"track_described","track":{{"uri":"t","artist":{{"name":"x"}}}},{at}}}"#),
                Code::MissingField,
                "track.artist.uri",
            ),
        ] {
            assert_eq!(refused(&json), (code, field.to_owned()), "{}", &json[..json.len().min(120)]);
        }
    }

    #[test]
    fn bytes_that_are_no_text_or_too_many() {
        let code = |bytes: &[u8]| decode(bytes).expect_err("refused").code;
        assert_eq!(code(b"{\"type\":\"\xff\"}"), Code::NotUtf8);
        assert_eq!(code(&vec![b' '; EVENT_BYTES_MAX + 1]), Code::TooLarge);
    }

    #[test]
    fn every_type_survives_the_way_out_and_back() {
        let named = Track {
            uri: "t:1".into(),
            name: Some("One \"quoted\" ✓".into()),
            artist: Some(Named { uri: "a:1".into(), name: Some("Artist".into()) }),
            album: Some(Named { uri: "b:1".into(), name: None }),
            duration_ms: Some(1234),
        };
        let playlist = Text::from("p:1");
        for change in [
            Change::PlaylistPut {
                playlist: playlist.clone(),
                title: Some("T".into()),
                tracks: vec![named.clone(), Track::new("t:2")],
            },
            Change::PlaylistPut { playlist: playlist.clone(), title: None, tracks: vec![] },
            Change::PlaylistTitled { playlist: playlist.clone(), title: "".into() },
            Change::TrackAdded { playlist: playlist.clone(), track: named.clone() },
            Change::TrackRemoved { playlist: playlist.clone(), track: "t:1".into() },
            Change::PlaylistDeleted { playlist },
            Change::TrackDescribed { track: named },
            Change::TrackForgotten { track: "t:1".into() },
        ] {
            let event = Event { at_ms: 1_714_564_800_123, change };
            let json = event.to_json();
            assert_eq!(decode(json.as_bytes()).as_ref(), Ok(&event), "{json}");
        }
    }

    #[test]
    fn plain_text_is_borrowed_from_the_record() {
        let record =
            br#"{"type":"track_forgotten","track":{"uri":"t"},"at":"2024-05-01T12:00:00+02:00","new":1}"#;
        let event = decode(record).expect("an event with a field that is not known");
        assert!(matches!(event.change, Change::TrackForgotten { track: Text::Borrowed("t") }));
        assert_eq!(event.at_ms, 1_714_557_600_000);
    }
}
