//! The artists of the seeds, and what else they have made.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::ids::{ArtistId, TrackId};
use crate::query::read::Found;
use crate::query::read::LOCKED;
use crate::views::Views;

/// Who made the seeds, and what else.
#[derive(Default)]
pub struct Artists {
    /// Of each seed that has one.
    pub of: FxHashMap<TrackId, ArtistId>,
    tracks: FxHashMap<ArtistId, Vec<TrackId>>,
}

impl Artists {
    /// Takes in what was found about them.
    pub fn take(&mut self, found: Found) {
        match found {
            Found::Artists(some) => self.of.extend(some),
            Found::ByArtist(some) => {
                some.into_iter()
                    .for_each(|(artist, tracks)| self.tracks.entry(artist).or_default().extend(tracks));
            }
            _ => {}
        }
    }

    /// All of them, ascending.
    pub fn all(&self) -> Vec<ArtistId> {
        let mut all: Vec<ArtistId> = self.of.values().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// By how many of these seeds each artist comes, with the artist's tracks.
    pub fn of_seeds<'a>(&'a self, seeds: &[TrackId]) -> Vec<(u32, &'a [TrackId])> {
        let mut counts: FxHashMap<ArtistId, u32> = FxHashMap::default();
        seeds
            .iter()
            .filter_map(|seed| self.of.get(seed))
            .for_each(|artist| *counts.entry(*artist).or_default() += 1);
        let tracks = |artist| self.tracks.get(artist).map(Vec::as_slice).unwrap_or_default();
        counts.iter().map(|(artist, count)| (*count, tracks(artist))).collect()
    }

    /// The tracks of some artists that playlists hold, with how many, most first, ties by id.
    pub fn common(
        &self,
        artists: impl IntoIterator<Item = ArtistId>,
        views: &Views,
        epoch: u64,
    ) -> Vec<(TrackId, u32)> {
        let tracks = artists.into_iter().filter_map(|a| self.tracks.get(&a)).flatten().copied().collect();
        by_holding(tracks, views, epoch)
    }

    /// The same of each artist by itself.
    pub fn common_of_each(&self, views: &Views, epoch: u64) -> FxHashMap<ArtistId, Vec<(TrackId, u32)>> {
        self.tracks.keys().map(|artist| (*artist, self.common([*artist], views, epoch))).collect()
    }
}

/// Such of these tracks as playlists hold, with how many, most first, ties by id.
pub fn by_holding(tracks: Vec<TrackId>, views: &Views, epoch: u64) -> Vec<(TrackId, u32)> {
    let holding = holding(views, &tracks, epoch);
    let mut common: Vec<_> = tracks.into_iter().zip(holding).filter(|(_, holding)| *holding > 0).collect();
    common.sort_unstable_by_key(|(track, holding)| (Reverse(*holding), *track));
    common
}

/// How many playlists hold each of some tracks.
pub fn holding(views: &Views, tracks: &[TrackId], epoch: u64) -> Vec<u32> {
    let mut all = Vec::with_capacity(tracks.len());
    for some in tracks.chunks(LOCKED) {
        let popularity = views.popularity.read();
        all.extend(some.iter().map(|track| popularity.of(*track, epoch)));
    }
    all
}
