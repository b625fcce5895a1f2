//! A playlist as it stands: its owner reads it, the tracks' owners name them.

use super::plan::{Here, Next, Plan, Start, cards};
use super::read::{Found, Read};
use super::{Body, PlaylistAnswer};
use crate::apply::Playlist;
use crate::ids::{PlaylistId, TrackId};

pub struct ReadingPlaylist {
    id: PlaylistId,
    found: Option<(Playlist, Vec<TrackId>)>,
}

impl ReadingPlaylist {
    pub fn new(id: PlaylistId) -> Self {
        ReadingPlaylist { id, found: None }
    }
}

impl Plan for ReadingPlaylist {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        vec![(self.id.0 % start.peers, Read::Playlist(self.id))]
    }

    fn next(&mut self, mut found: Vec<Found>, here: &Here<'_>) -> Next {
        match (self.found.take(), found.pop()) {
            (None, Some(Found::Playlist(Some((playlist, tracks))))) => {
                let asks = here.cards(tracks.iter().copied());
                self.found = Some((playlist, tracks));
                asks
            }
            (Some((playlist, tracks)), last) => {
                found.extend(last);
                let mut cards = cards(found);
                let tracks = tracks.iter().filter_map(|track| Some(cards.remove(track)?.0)).collect();
                Next::Done(Body::Playlist(Some(PlaylistAnswer { playlist, tracks })))
            }
            (None, _) => Next::Done(Body::Playlist(None)),
        }
    }
}
