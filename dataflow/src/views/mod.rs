//! The views: collections that every event keeps up to date, readable as-of one epoch.
//!
//! [`trace`] reads differential's arrangements (entries, by playlist and by track, and titles);
//! [`book`] holds what has one value a key (names, titles, counts). Both hold several epochs at once.

pub mod book;
pub mod popularity;
pub mod trace;

use std::cell::RefCell;
use std::rc::Rc;

use crate::apply::{Playlist, Totals};
use crate::catalogue::Cards;
use crate::ids::{PlaylistId, TitleId, TrackId};
use book::Book;
use popularity::Popularity;
use trace::View;

/// What one worker can read. All of it is partitioned by the owner of the playlist (or, for cards, of
/// the track); popularity is whole everywhere.
pub struct Views {
    /// Playlist → its tracks.
    pub by_playlist: View<PlaylistId, TrackId>,
    /// Track → this worker's playlists that hold it: the posting list, in id order.
    pub by_track: View<TrackId, PlaylistId>,
    /// Title or word of a title → this worker's playlists.
    pub by_title: View<TitleId, PlaylistId>,
    /// Playlist → URI, title, number of entries.
    pub playlists: Shared<Book<PlaylistId, Rc<Playlist>>>,
    /// Track → URI and names.
    pub cards: Shared<Cards>,
    /// How many playlists hold each track, and which are held by most.
    pub popularity: Shared<Popularity>,
    /// Entries, playlists and digest of this worker's playlists.
    pub totals: Shared<Book<(), Totals>>,
}

/// A view that one operator writes and others on the same worker read.
pub type Shared<T> = Rc<RefCell<T>>;

impl Views {
    /// Takes the present batches of the arrangements.
    pub fn refresh(&mut self) {
        self.by_playlist.refresh();
        self.by_track.refresh();
        self.by_title.refresh();
    }

    /// Promises to read only as-of `since` or later.
    pub fn hold(&mut self, since: u64) {
        self.by_playlist.hold(since);
        self.by_track.hold(since);
        self.by_title.hold(since);
        self.playlists.borrow_mut().forget_before(since);
        self.cards.borrow_mut().forget_before(since);
        self.popularity.borrow_mut().forget_before(since);
        self.totals.borrow_mut().forget_before(since);
    }
}
