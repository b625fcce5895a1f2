//! The generator: made-up playlists in the shape of the Million Playlist Dataset.
//!
//! Invariant: a playlist is a pure function of (seed, pid), so any number of threads makes the same bytes
//! and a smaller data set is the beginning of a larger one. Lengths, popularity of tracks and titles follow
//! the published figures (`curve`); genres and scenes (`world`) give co-occurrence a meaning: a playlist
//! plays one or two genres, of each mostly one scene, and its title fits.

mod curve;
mod edits;
mod genres;
mod names;
mod playlist;
mod slices;
mod words;
mod world;

pub use edits::Edits;
pub use playlist::{Playlist, Playlists};
pub use slices::{Job, SLICE_PLAYLISTS, WriteError, Written};
pub use world::{ArtistNo, TrackNo};

/// Playlists that a data set may have.
pub const PLAYLISTS_MAX: u64 = 100_000_000;
