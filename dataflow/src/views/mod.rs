//! The views: collections that every event keeps up to date, readable as-of one epoch.
//!
//! [`trace`] reads differential's arrangements (entries, by playlist and by track, and titles);
//! [`book`] holds what has one value a key (names, titles, counts). Both hold several epochs at once.

pub mod batch;
pub mod book;
pub mod popularity;
pub mod trace;

use std::sync::Arc;

use parking_lot::RwLock;

use crate::apply::{Playlist, Totals};
use crate::catalogue::Cards;
use crate::ids::{PlaylistId, TitleId, TrackId};
use book::Book;
use popularity::Popularity;
use trace::{Trace, View};

/// What there is to read of one worker. All of it is partitioned by the owner of the playlist (or, for
/// cards, of the track); popularity is whole. Any thread can read it; cloning it is cheap.
#[derive(Clone)]
pub struct Views {
    /// Playlist → its tracks.
    pub by_playlist: View<PlaylistId, TrackId>,
    /// Track → this worker's playlists that hold it: the posting list, in id order.
    pub by_track: View<TrackId, PlaylistId>,
    /// Title or word of a title → this worker's playlists.
    pub by_title: View<TitleId, PlaylistId>,
    /// What has one value a key.
    pub books: Books,
}

/// Views that have one value a key.
#[derive(Clone)]
pub struct Books {
    /// Playlist → URI, title, number of entries.
    pub playlists: Shared<Book<PlaylistId, Playlist>>,
    /// Track → URI and names.
    pub cards: Shared<Cards>,
    /// How many playlists hold each track, and which are held by most.
    pub popularity: Shared<Popularity>,
    /// Entries, playlists and digest of this worker's playlists.
    pub totals: Shared<Book<(), Totals>>,
}

/// A view that one operator writes and others read.
pub type Shared<T> = Arc<RwLock<T>>;

/// The views of one worker as it keeps them.
pub struct Live {
    /// See [`Views::by_playlist`].
    pub by_playlist: Trace<PlaylistId, TrackId>,
    /// See [`Views::by_track`].
    pub by_track: Trace<TrackId, PlaylistId>,
    /// See [`Views::by_title`].
    pub by_title: Trace<TitleId, PlaylistId>,
    /// See [`Views::books`].
    pub books: Books,
}

impl Live {
    /// What is there now.
    pub fn refresh(&mut self) -> Views {
        self.by_playlist.refresh();
        self.by_track.refresh();
        self.by_title.refresh();
        Views {
            by_playlist: self.by_playlist.view().clone(),
            by_track: self.by_track.view().clone(),
            by_title: self.by_title.view().clone(),
            books: self.books.clone(),
        }
    }

    /// Promises to read only as-of `since` or later. Popularity is not this worker's alone: it is left out.
    pub fn hold(&mut self, since: u64) {
        self.by_playlist.hold(since);
        self.by_track.hold(since);
        self.by_title.hold(since);
        self.books.playlists.write().forget_before(since);
        self.books.cards.write().forget_before(since);
        self.books.totals.write().forget_before(since);
    }
}
