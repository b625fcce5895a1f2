//! Which seeds led to a track: what the playlists that voted for it hold.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::ballot::{Ballot, Known, whole};
use super::holding::Masks;
use crate::ids::{PlaylistId, TrackId};
use crate::scoring::part;
use crate::views::Views;

/// Asks why some tracks were voted for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Why {
    /// How playlists voted.
    pub ballot: Ballot,
    /// Those that did, as they were asked for votes.
    pub nearest: Vec<(PlaylistId, u64)>,
    /// For these tracks.
    pub tracks: Vec<TrackId>,
}

/// What some playlists hold, by numbers of tracks and seeds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// How many of them hold each seed.
    pub of: Vec<u32>,
    /// Track, seed, how many of them hold both, and which part of their votes for the track is the seed's.
    pub pairs: Vec<(u32, u32, u32, u64)>,
}

impl Why {
    /// Goes through the playlists that voted, once more.
    pub fn run(&self, views: &Views, epoch: u64) -> Evidence {
        let Why { ballot, nearest, tracks } = self;
        let finds = views.by_playlist.find(&whole(nearest.iter().map(|(playlist, _)| *playlist)));
        let held = ballot.held(&finds, nearest.len(), epoch);
        let votes = ballot.votes(views, nearest, Some(&held).filter(|_| ballot.recount), epoch);
        let (wanted, mut shown) = (Known::new(tracks.iter()), Masks::empty(nearest.len(), tracks.len()));
        finds.updates(epoch, |i, track, diff| {
            wanted.number(track).into_iter().for_each(|number| shown.flip(i, number, diff));
        });
        let mut pairs: FxHashMap<(u32, u32), (u32, u64)> = FxHashMap::default();
        let mut of = vec![0; ballot.seeds.len()];
        for (i, vote) in votes.into_iter().enumerate() {
            let weights = held.numbers(i).map(|seed| ballot.seeds[seed].1).sum();
            for seed in held.numbers(i) {
                of[seed] += 1;
                let part = part(vote, ballot.seeds[seed].1, weights);
                for track in shown.numbers(i) {
                    let pair = pairs.entry((track as u32, seed as u32)).or_default();
                    *pair = (pair.0 + 1, pair.1 + part);
                }
            }
        }
        let pairs = pairs.into_iter().map(|((track, seed), (shared, part))| (track, seed, shared, part));
        Evidence { of, pairs: pairs.collect() }
    }
}
