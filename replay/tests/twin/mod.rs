//! The slow, plain state that a stream of events leads to.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use segue_dataflow::event::{Change, Event};
use segue_replay::source::{Fault, Sink};

/// Applies events in the plainest way.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Twin {
    pub playlists: HashMap<String, HashSet<String>>,
    pub described: HashSet<String>,
    pub named_rows: usize,
}

impl Twin {
    pub fn apply(&mut self, event: &Event<'_>) {
        match &event.change {
            Change::PlaylistPut { playlist, tracks, .. } => {
                self.named_rows += tracks.iter().filter(|t| t.has_names()).count();
                let tracks = tracks.iter().map(|t| t.uri.to_string()).collect();
                self.playlists.insert(playlist.to_string(), tracks);
            }
            Change::TrackDescribed { track } => {
                assert!(self.described.insert(track.uri.to_string()), "{} was described twice", track.uri);
            }
            Change::PlaylistTitled { playlist, .. } => {
                self.playlists.entry(playlist.to_string()).or_default();
            }
            Change::TrackAdded { playlist, track } => {
                self.playlists.entry(playlist.to_string()).or_default().insert(track.uri.to_string());
            }
            Change::TrackRemoved { playlist, track } => {
                self.playlists.entry(playlist.to_string()).or_default().remove(&**track);
            }
            Change::PlaylistDeleted { playlist } => {
                self.playlists.remove(&**playlist);
            }
            Change::TrackForgotten { .. } => {}
        }
    }
}

impl Sink for Twin {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.apply(event);
        ControlFlow::Continue(())
    }

    fn fault(&mut self, fault: Fault) {
        panic!("{fault}");
    }
}
