//! The views: collections that every event keeps up to date, readable as-of one epoch.
//!
//! [`trace`] reads differential's arrangements (entries, by playlist and by track, titles, artists);
//! [`book`] holds what has one value a key (names, titles, counts). Both hold several epochs at once.

pub mod ageing;
pub mod batch;
pub mod beginning;
pub mod book;
pub mod offsets;
pub mod parts;
pub mod past;
pub mod popularity;
mod seek;
pub mod titles;
pub mod trace;
pub mod trending;

use std::sync::Arc;

use parking_lot::RwLock;

use crate::apply::{Playlist, Totals};
use crate::catalogue::Cards;
use crate::day::Days;
use crate::ids::{ArtistId, PlaylistId, TitleId, TrackId};
use crate::neighbours::Rows;
use book::Book;
use popularity::Popularity;
use trace::{Trace, View};
use trending::Trending;

/// What there is to read of one worker, or of several as if they were one. Any thread can read it; cloning
/// it is cheap.
#[derive(Clone)]
pub struct Views {
    /// Playlist → its tracks.
    pub by_playlist: View<PlaylistId, TrackId>,
    /// Track → the playlists that hold it: the posting list, in id order.
    pub by_track: View<TrackId, PlaylistId>,
    /// Title or word of a title → playlists.
    pub by_title: View<TitleId, PlaylistId>,
    /// Artist → tracks that are known to be by them.
    pub by_artist: View<ArtistId, TrackId>,
    /// How many playlists hold each track, and which are held by most. Whole everywhere.
    pub popularity: Shared<Popularity>,
    /// What has one value a key, by owner of the key.
    pub books: Arc<[Books]>,
    /// The step of the graph as-of which rows are to be read; 0 before the first.
    pub graph: u64,
}

/// Views that have one value a key, of one worker.
#[derive(Clone)]
pub struct Books {
    /// Playlist → URI, title, number of entries.
    pub playlists: Shared<Book<PlaylistId, Playlist>>,
    /// Track → URI and names.
    pub cards: Shared<Cards>,
    /// Playlist → the days of its tracks, in their order; none where none is kept.
    pub days: Shared<Book<PlaylistId, Days>>,
    /// Track → additions by day.
    pub trending: Shared<Trending>,
    /// Entries, playlists and digest of this worker's playlists.
    pub totals: Shared<Book<(), Totals>>,
    /// Track → its row in the graph, as-of a step of the graph.
    pub rows: Shared<Rows>,
}

impl Views {
    /// The views of all workers, in their order, as one.
    pub fn of_all(workers: &[Views]) -> Option<Views> {
        let Views { popularity, graph, .. } = workers.first()?;
        Some(Views {
            by_playlist: View::of_all(workers.iter().map(|views| &views.by_playlist)),
            by_track: View::of_all(workers.iter().map(|views| &views.by_track)),
            by_title: View::of_all(workers.iter().map(|views| &views.by_title)),
            by_artist: View::of_all(workers.iter().map(|views| &views.by_artist)),
            popularity: Arc::clone(popularity),
            books: workers.iter().flat_map(|views| views.books.iter().cloned()).collect(),
            graph: *graph,
        })
    }

    /// The books that are about the playlist or track with this id.
    pub fn owner(&self, id: impl Into<u64>) -> &Books {
        &self.books[(id.into() % self.books.len() as u64) as usize]
    }
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
    /// See [`Views::by_artist`].
    pub by_artist: Trace<ArtistId, TrackId>,
    /// See [`Views::popularity`].
    pub popularity: Shared<Popularity>,
    /// See [`Views::books`].
    pub books: Books,
    /// See [`Views::graph`].
    pub graph: u64,
}

impl Live {
    /// What is there now.
    pub fn refresh(&mut self) -> Views {
        self.by_playlist.refresh();
        self.by_track.refresh();
        self.by_title.refresh();
        self.by_artist.refresh();
        Views {
            by_playlist: self.by_playlist.view().clone(),
            by_track: self.by_track.view().clone(),
            by_title: self.by_title.view().clone(),
            by_artist: self.by_artist.view().clone(),
            popularity: Arc::clone(&self.popularity),
            books: Arc::new([self.books.clone()]),
            graph: self.graph,
        }
    }

    /// Promises to read only as-of `since` or later. Popularity is not this worker's alone, and rows are read
    /// as-of steps: these are left out.
    pub fn hold(&mut self, since: u64) {
        self.by_playlist.hold(since);
        self.by_track.hold(since);
        self.by_title.hold(since);
        self.by_artist.hold(since);
        self.books.playlists.write().forget_before(since);
        self.books.cards.write().forget_before(since);
        self.books.days.write().forget_before(since);
        self.books.trending.write().forget_before(since);
        self.books.totals.write().forget_before(since);
    }
}
