//! Edits: events in the form that travels through the dataflow, with ids instead of URIs.
//!
//! All tracks of an edit share one string for their URIs, so that a playlist of 66 tracks costs three
//! allocations and not 66. An edit goes to the worker that owns its key.

use serde::{Deserialize, Serialize};

use crate::day::Day;
use crate::event::{Change, Event, Track};
use crate::ids::{PlaylistId, TrackId};

/// One event on its way to its owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Edit {
    /// Position on the log. Orders the edits of one playlist, and the names of one track, within an epoch.
    pub seq: u64,
    /// When, by the event's own word.
    pub day: Day,
    /// What changes.
    pub op: Op,
}

/// What an edit changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    /// A playlist.
    Playlist {
        /// Which.
        id: PlaylistId,
        /// Its URI.
        uri: Box<str>,
        /// How.
        op: PlaylistOp,
    },
    /// The track with these names is described.
    Described(Mentions),
    /// The described names of a track go.
    Forgotten(TrackId),
}

/// How a playlist changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PlaylistOp {
    /// It becomes exactly this.
    Put {
        /// Its title.
        title: Option<Box<str>>,
        /// Its tracks.
        tracks: Mentions,
    },
    /// It is called this.
    Titled(Box<str>),
    /// It holds this one track.
    Added(Mentions),
    /// It does not hold this track.
    Removed(TrackId),
    /// It is gone.
    Deleted,
}

/// Tracks as an event names them: distinct, in id order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mentions {
    uris: String,
    list: Vec<Mention>,
}

/// One track of [`Mentions`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mention {
    /// Which.
    pub id: TrackId,
    start: u32,
    len: u32,
    /// The names that came along.
    pub names: Option<Box<Names>>,
}

/// What is known of a track but its URI. Each field by itself: the last event that has it wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Names {
    /// Name of the track.
    pub name: Option<Box<str>>,
    /// Its artist.
    pub artist: Option<Party>,
    /// Its album.
    pub album: Option<Party>,
    /// How long it lasts, in milliseconds.
    pub duration_ms: Option<u32>,
}

/// An artist or an album.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Party {
    /// Its URI.
    pub uri: Box<str>,
    /// Its name.
    pub name: Option<Box<str>>,
}

impl Edit {
    /// The edit that `event`, found at `seq` on the log, makes.
    pub fn new(seq: u64, event: &Event<'_>) -> Self {
        let playlist = |uri: &str, op| Op::Playlist { id: PlaylistId::of(uri), uri: uri.into(), op };
        let op = match &event.change {
            Change::PlaylistPut { playlist: uri, title, tracks } => {
                let tracks = Mentions::new(tracks);
                playlist(uri, PlaylistOp::Put { title: title.as_deref().map(Into::into), tracks })
            }
            Change::PlaylistTitled { playlist: uri, title } => {
                playlist(uri, PlaylistOp::Titled(title.as_ref().into()))
            }
            Change::TrackAdded { playlist: uri, track } => {
                playlist(uri, PlaylistOp::Added(Mentions::new(std::slice::from_ref(track))))
            }
            Change::TrackRemoved { playlist: uri, track } => {
                playlist(uri, PlaylistOp::Removed(TrackId::of(track)))
            }
            Change::PlaylistDeleted { playlist: uri } => playlist(uri, PlaylistOp::Deleted),
            Change::TrackDescribed { track } => Op::Described(Mentions::new(std::slice::from_ref(track))),
            Change::TrackForgotten { track } => Op::Forgotten(TrackId::of(track)),
        };
        Edit { seq, day: Day::of(event.at_ms), op }
    }

    /// The bits by which the edit is routed: those of the id of its playlist or track.
    pub fn owner(&self) -> u64 {
        match &self.op {
            Op::Playlist { id, .. } => id.0,
            Op::Described(track) => track.list.first().map_or(0, |t| t.id.0),
            Op::Forgotten(track) => track.0,
        }
    }

    /// How many entries the edit may change: what a batch of edits is measured by.
    pub fn weight(&self) -> usize {
        match &self.op {
            Op::Playlist { op: PlaylistOp::Put { tracks, .. }, .. } => 1 + tracks.list.len(),
            _ => 1,
        }
    }
}

impl Mentions {
    /// The distinct tracks of a list. Of one that stands there twice the later names win.
    pub fn new(tracks: &[Track<'_>]) -> Self {
        let mut all = Mentions::default();
        all.list.reserve_exact(tracks.len());
        all.uris.reserve_exact(tracks.iter().map(|t| t.uri.len()).sum());
        for track in tracks {
            all.push(TrackId::of(&track.uri), &track.uri, Names::of(track));
        }
        all.list.sort_by_key(|m| m.id);
        all.list.dedup_by(|later, first| {
            let same = later.id == first.id;
            if same && let Some(names) = later.names.take() {
                first.names.get_or_insert_default().overlay(*names);
            }
            same
        });
        all
    }

    /// Adds a track. Whoever calls this keeps the order of ids.
    pub(crate) fn push(&mut self, id: TrackId, uri: &str, names: Option<Box<Names>>) {
        // A record has at most 16 MiB, so lengths fit; a hand-made longer one would only lose its URIs.
        let start = u32::try_from(self.uris.len()).unwrap_or(u32::MAX);
        self.list.push(Mention { id, start, len: uri.len() as u32, names });
        self.uris.push_str(uri);
    }

    /// The tracks, in id order.
    pub fn iter(&self) -> std::slice::Iter<'_, Mention> {
        self.list.iter()
    }

    /// Takes the tracks out: id, URI, names.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (TrackId, &str, Option<Box<Names>>)> {
        let uris = &self.uris;
        self.list.drain(..).map(|m| {
            let uri = uris.get(m.start as usize..m.start as usize + m.len as usize);
            (m.id, uri.unwrap_or_default(), m.names)
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The URI of one of these tracks.
    pub fn uri(&self, mention: &Mention) -> &str {
        let start = mention.start as usize;
        self.uris.get(start..start + mention.len as usize).unwrap_or_default()
    }
}

impl Names {
    fn of(track: &Track<'_>) -> Option<Box<Names>> {
        let party = |named: &crate::event::Named<'_>| Party {
            uri: named.uri.as_ref().into(),
            name: named.name.as_deref().map(Into::into),
        };
        track.has_names().then(|| {
            Box::new(Names {
                name: track.name.as_deref().map(Into::into),
                artist: track.artist.as_ref().map(party),
                album: track.album.as_ref().map(party),
                duration_ms: track.duration_ms,
            })
        })
    }

    /// Takes over every field that `newer` has.
    pub fn overlay(&mut self, newer: Names) {
        let Names { name, artist, album, duration_ms } = newer;
        self.name = name.or(self.name.take());
        self.artist = artist.or(self.artist.take());
        self.album = album.or(self.album.take());
        self.duration_ms = duration_ms.or(self.duration_ms);
    }
}
