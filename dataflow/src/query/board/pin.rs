//! A pin: the newest epoch, kept readable until somebody on another thread has the time to look.
//!
//! To make one waits for nothing. So what would have been recommended before an event can be found out long after
//! the event went on: a pin that is made before the event is fed never includes it.

use std::sync::Arc;

use super::{Board, Lease};
use crate::ids::{PlaylistId, TrackId};
use crate::query::{Body, Question, Recommend, Seeds};

/// An epoch that is readable as long as this lives.
pub struct Pin {
    pub(super) board: Arc<Board>,
    pub(super) as_of: u64,
}

/// What would have been recommended for a playlist to which a track was about to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// Tracks of the playlist.
    pub seeds: u32,
    /// Playlists that hold the track.
    pub holding: u32,
    /// Tracks that some playlist holds.
    pub tracks: u64,
    /// What would have been recommended, best first, each with how many playlists hold it.
    pub shown: Vec<(TrackId, u32)>,
}

impl Board {
    /// Pins the newest epoch that all workers have reached; none before the first, or once the board is closed.
    pub fn pin(self: &Arc<Self>) -> Option<Pin> {
        let mut state = self.state.lock();
        let as_of = state.newest().filter(|_| !state.closed)?;
        state.epochs_read.more(as_of);
        Some(Pin { board: Arc::clone(self), as_of })
    }
}

impl Pin {
    /// What would have been recommended as-of the pin, `limit` tracks at the most. None if there is no such
    /// playlist, or if it holds the track already: then it cannot be added.
    pub fn foresee(&self, playlist: PlaylistId, track: TrackId, limit: usize) -> Option<Foreseen> {
        let lease = self.lease()?;
        let views = lease.views();
        let seeds = views.owner(playlist).playlists.read().get(&playlist, self.as_of)?.entries;
        if views.by_playlist.values(playlist, self.as_of).binary_search(&track).is_ok() {
            return None;
        }
        let wanted = Recommend::new(Seeds::Playlist(playlist), limit);
        let Body::Recommendations(Some(found)) = lease.answer(Question::Recommend(wanted)).body else {
            return None;
        };
        let popularity = views.popularity.read();
        let holding = |track: TrackId| popularity.of(track, self.as_of);
        let shown = found.tracks.iter().map(|one| TrackId::of(&one.track.uri));
        let shown = shown.map(|track| (track, holding(track))).collect();
        Some(Foreseen { seeds, holding: holding(track), tracks: popularity.tracks(self.as_of), shown })
    }

    /// The epoch.
    pub fn as_of(&self) -> u64 {
        self.as_of
    }

    fn lease(&self) -> Option<Lease> {
        let mut state = self.board.state.lock();
        // A worker may still show something after the end.
        if state.closed { None } else { self.board.lease_of(self.as_of, &mut state) }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.board.state.lock().epochs_read.less(self.as_of);
    }
}
