//! What is by the seeds' artists, and which playlists hold some of it.

use serde::{Deserialize, Serialize};

use crate::ids::{ArtistId, PlaylistId, TrackId};
use crate::views::Views;

/// Asks for the first playlists of some tracks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct First {
    /// Tracks, ascending.
    pub tracks: Vec<TrackId>,
    /// How many playlists of each, at the most.
    pub limit: usize,
    /// Not this one.
    pub but: Option<PlaylistId>,
}

/// A playlist that holds a track, by the track's number, and its number of entries.
pub type Holder = (usize, PlaylistId, u32);

impl First {
    /// Reads the beginnings of their posting lists.
    pub fn run(&self, views: &Views, epoch: u64) -> Vec<Holder> {
        let (mut pass, mut found) = (views.by_track.pass(), Vec::new());
        for (number, track) in self.tracks.iter().enumerate() {
            let begin = found.len();
            pass.read_while(*track, epoch, |playlist| {
                if Some(playlist) != self.but {
                    found.push((number, playlist, 0));
                }
                found.len() - begin < self.limit
            });
        }
        for (_, playlist, entries) in &mut found {
            let books = views.owner(*playlist).playlists.read();
            *entries = books.get(playlist, epoch).map_or(0, |known| known.entries);
        }
        found
    }
}

/// The artists of tracks that live here, of those that have one.
pub fn artists(views: &Views, tracks: &[TrackId], epoch: u64) -> Vec<(TrackId, ArtistId)> {
    let artist = |track: &TrackId| Some((*track, views.owner(*track).cards.read().artist(*track, epoch)?));
    tracks.iter().filter_map(artist).collect()
}

/// The tracks of each of these artists (ascending) that live here.
pub fn tracks_by(views: &Views, artists: &[ArtistId], epoch: u64) -> Vec<(ArtistId, Vec<TrackId>)> {
    let mut pass = views.by_artist.pass();
    let tracks = |artist: &ArtistId| {
        let mut tracks = Vec::new();
        pass.read_while(*artist, epoch, |track| {
            tracks.push(track);
            true
        });
        (*artist, tracks)
    };
    artists.iter().map(tracks).collect()
}
