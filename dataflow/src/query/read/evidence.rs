//! Which seeds led to a track: what the playlists that voted for it hold.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::ballot::{Ballot, held as holds, ids, whole};
use crate::ids::{PlaylistId, TrackId};
use crate::scoring::{StandIn, part};
use crate::views::Views;

/// Asks why some tracks were voted for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Why {
    /// How playlists voted.
    pub ballot: Ballot,
    /// What stood in for seeds.
    pub stand_ins: Vec<StandIn>,
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
    /// Goes through the playlists that voted, once more. The vote of each is its seeds', by their weights; if it holds
    /// none, it is that of the seeds for which tracks stood in that it holds.
    pub fn run(&self, views: &Views, epoch: u64) -> Evidence {
        let Why { ballot, stand_ins, nearest, tracks } = self;
        let finds = views.by_playlist.find(&ids(nearest), whole);
        let held = ballot.held(&finds, nearest.len(), epoch);
        let votes = ballot.votes(views, nearest, Some(&held).filter(|_| ballot.recount), epoch);
        let shown = holds(&finds, nearest.len(), tracks.iter(), epoch);
        let standing = holds(&finds, nearest.len(), stand_ins.iter().map(|one| &one.track), epoch);
        let number = |seed: TrackId| ballot.seeds.binary_search_by_key(&seed, |(seed, ..)| *seed).ok();
        let mut pairs: FxHashMap<(u32, u32), (u32, u64)> = FxHashMap::default();
        let mut of = vec![0; ballot.seeds.len()];
        for (i, vote) in votes.into_iter().enumerate() {
            let mut led: BTreeMap<usize, u64> =
                held.numbers(i).map(|seed| (seed, ballot.seeds[seed].1)).collect();
            let own = u32::from(!led.is_empty());
            if own == 0 {
                for StandIn { weight, seed, .. } in standing.numbers(i).map(|number| stand_ins[number]) {
                    number(seed).into_iter().for_each(|seed| *led.entry(seed).or_default() += weight);
                }
            }
            let weights = led.values().sum();
            for (seed, weight) in led {
                of[seed] += own;
                let part = part(vote, weight, weights);
                for track in shown.numbers(i) {
                    let pair = pairs.entry((track as u32, seed as u32)).or_default();
                    *pair = (pair.0 + own, pair.1 + part);
                }
            }
        }
        let pairs = pairs.into_iter().map(|((track, seed), (shared, part))| (track, seed, shared, part));
        Evidence { of, pairs: pairs.collect() }
    }
}
