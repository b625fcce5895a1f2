//! The playlists of all sources as they stand at the end, in memory: with numbers for tracks and artists, and
//! each playlist's tracks in order.

use std::ops::ControlFlow;

use rustc_hash::{FxHashMap, FxHashSet};
use segue_dataflow::event::{self, Change, Event};
use segue_dataflow::ids::{ArtistId, PlaylistId, TrackId};

use crate::source::{Fault, Input, Reader, Sink};

/// A track, by its place in [`Corpus::tracks`].
pub type TrackNo = u32;

/// All there is.
#[derive(Debug, Default)]
pub struct Corpus {
    /// Those with a track at least.
    pub playlists: Vec<Playlist>,
    pub tracks: Vec<Track>,
    /// URIs.
    pub artists: Vec<Box<str>>,
}

#[derive(Debug)]
pub struct Playlist {
    pub id: PlaylistId,
    pub uri: Box<str>,
    pub title: Option<Box<str>>,
    /// Distinct, in the playlist's order.
    pub tracks: Vec<TrackNo>,
}

#[derive(Debug)]
pub struct Track {
    pub id: TrackId,
    pub uri: Box<str>,
    /// By its place in [`Corpus::artists`], if it is known.
    pub artist: Option<u32>,
}

impl Corpus {
    /// Reads all inputs. `told` of what could not be read.
    pub fn read(inputs: &[Input], told: impl FnMut(Fault)) -> Self {
        let mut collecting = Collecting { corpus: Corpus::default(), numbers: Numbers::default(), told };
        let _ = Reader::new().read_all(inputs, &mut collecting); // it never breaks off
        let mut corpus = collecting.corpus;
        corpus.playlists.retain(|playlist| !playlist.tracks.is_empty());
        corpus
    }

    /// The id of a track.
    pub fn id(&self, track: TrackNo) -> TrackId {
        self.tracks[track as usize].id
    }

    /// The artist of a track, by its place in [`Corpus::artists`], if it is known.
    pub fn artist(&self, track: TrackNo) -> Option<u32> {
        self.tracks[track as usize].artist
    }
}

/// The places of what was met already.
#[derive(Default)]
struct Numbers {
    playlists: FxHashMap<PlaylistId, usize>,
    tracks: FxHashMap<TrackId, TrackNo>,
    artists: FxHashMap<ArtistId, u32>,
}

struct Collecting<F> {
    corpus: Corpus,
    numbers: Numbers,
    told: F,
}

impl<F> Collecting<F> {
    fn playlist(&mut self, uri: &str) -> &mut Playlist {
        let (all, id) = (&mut self.corpus.playlists, PlaylistId::of(uri));
        let place = *self.numbers.playlists.entry(id).or_insert_with(|| {
            all.push(Playlist { id, uri: uri.into(), title: None, tracks: Vec::new() });
            all.len() - 1
        });
        &mut all[place]
    }

    fn track(&mut self, track: &event::Track<'_>) -> TrackNo {
        let artists = &mut self.corpus.artists;
        let artist = track.artist.as_ref().map(|artist| {
            *self.numbers.artists.entry(ArtistId::of(&artist.uri)).or_insert_with(|| {
                artists.push(artist.uri.as_ref().into());
                artists.len() as u32 - 1
            })
        });
        let (all, id) = (&mut self.corpus.tracks, TrackId::of(&track.uri));
        let number = *self.numbers.tracks.entry(id).or_insert_with(|| {
            all.push(Track { id, uri: track.uri.as_ref().into(), artist: None });
            all.len() as TrackNo - 1
        });
        let known = &mut all[number as usize].artist;
        *known = artist.or(*known);
        number
    }
}

impl<F: FnMut(Fault)> Sink for Collecting<F> {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        match &event.change {
            Change::PlaylistPut { playlist, title, tracks } => {
                let mut seen = FxHashSet::default();
                let mut tracks: Vec<TrackNo> = tracks.iter().map(|track| self.track(track)).collect();
                tracks.retain(|track| seen.insert(*track));
                let playlist = self.playlist(playlist);
                (playlist.title, playlist.tracks) = (title.as_deref().map(Into::into), tracks);
            }
            Change::PlaylistTitled { playlist, title } => {
                self.playlist(playlist).title = Some(title.as_ref().into());
            }
            Change::TrackAdded { playlist, track } => {
                let track = self.track(track);
                let tracks = &mut self.playlist(playlist).tracks;
                if !tracks.contains(&track) {
                    tracks.push(track);
                }
            }
            Change::TrackRemoved { playlist, track } => {
                let track = self.numbers.tracks.get(&TrackId::of(track)).copied();
                self.playlist(playlist).tracks.retain(|there| Some(*there) != track);
            }
            Change::PlaylistDeleted { playlist } => {
                let playlist = self.playlist(playlist);
                (playlist.title, playlist.tracks) = (None, Vec::new());
            }
            Change::TrackDescribed { track } => {
                self.track(track);
            }
            Change::TrackForgotten { .. } => {}
        }
        ControlFlow::Continue(())
    }

    fn fault(&mut self, fault: Fault) {
        (self.told)(fault);
    }
}
