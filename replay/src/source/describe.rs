//! Playlists with full rows become events that name each track once.
//!
//! Invariant: over one stream a track is described at most once, before the first `playlist_put` in which
//! it came with names, and every `playlist_put` names its tracks by URI only. (A published data set has
//! its names in every row: 33 GB of them, which this makes 3.5.)

use std::ops::ControlFlow;

use rustc_hash::FxHashSet;
use segue_dataflow::event::{Change, Event, Text, Track};
use segue_dataflow::ids::TrackId;

use super::Sink;

/// Remembers the described tracks, eight bytes each.
#[derive(Debug, Default)]
pub struct Describer {
    described: FxHashSet<TrackId>,
    seen: FxHashSet<TrackId>,
}

impl Describer {
    /// Gives the sink a description of each track that is new and has names, then the playlist with each
    /// track once, in the order of the first rows. Returns how many tracks there are if they are more than
    /// `max`, and then gives the sink nothing.
    pub fn put<'a>(
        &mut self,
        playlist: &str,
        title: Option<Text<'a>>,
        at_ms: i64,
        mut tracks: Vec<Track<'a>>,
        max: usize,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>, usize> {
        // A row that comes twice counts once; its second may have the names that the first lacks.
        let mut named = Vec::new();
        self.seen.clear();
        tracks.retain_mut(|track| {
            let id = TrackId::of(&track.uri);
            let bare = Track::new(track.uri.clone());
            if track.has_names() && !self.described.contains(&id) {
                named.push((id, std::mem::replace(track, bare)));
            } else {
                *track = bare;
            }
            self.seen.insert(id)
        });
        if tracks.len() > max {
            return Err(tracks.len());
        }
        for (id, track) in named {
            if self.described.insert(id) {
                let flow = sink.event(&Event { at_ms, change: Change::TrackDescribed { track } });
                if flow.is_break() {
                    return Ok(flow);
                }
            }
        }
        let playlist = Text::Borrowed(playlist);
        Ok(sink.event(&Event { at_ms, change: Change::PlaylistPut { playlist, title, tracks } }))
    }
}
