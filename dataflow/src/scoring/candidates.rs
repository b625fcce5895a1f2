//! Which playlists are read: those most similar to the seeds, as far as samples tell, and where these are few,
//! playlists that hold something else by the seeds' artists.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::{Lengths, best, stand_in_weight};
use crate::ids::{PlaylistId, TrackId};

/// Tracks of a seed's artist that stand in for it where there is little else.
const STAND_INS: usize = 5;
/// Playlists of each of them.
pub const STAND_IN_PLAYLISTS: usize = 100;
/// One that fewer playlists hold stands in for nothing.
const STAND_IN_HOLDING_MIN: u32 = 2;

/// A playlist with its number of entries, and Σ a: what the seeds weigh that it holds.
pub type Candidate = (PlaylistId, u32, u64);

/// A track by a seed's artist that stands in for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandIn {
    /// It.
    pub track: TrackId,
    /// What its playlists weigh.
    pub weight: u64,
    /// For which seed.
    pub seed: TrackId,
}

/// The k best of them, with their similarities σ̂, best first; ties by smaller id. Source: docs/scoring.md, step 3.
pub fn nearest(candidates: &[Candidate], lengths: &Lengths, limit: usize) -> Vec<(PlaylistId, u64)> {
    let similar = |(id, entries, weights): &Candidate| (*id, lengths.similarity(*weights, *entries));
    best(candidates.iter().map(similar).collect(), limit)
}

/// For each seed in turn, the most common tracks by its artist that are not `taken`, as seeds are, and do not stand in
/// yet; ascending by id. Each seed comes with its artist's tracks, most common first; `mean` is ā. Source:
/// docs/scoring.md, step 3 (thin pool).
pub fn stand_ins<'a>(
    seeds: impl Iterator<Item = (TrackId, &'a [(TrackId, u32)])>,
    mut taken: FxHashSet<TrackId>,
    mean: f64,
) -> Vec<StandIn> {
    let mut chosen = Vec::new();
    for (seed, common) in seeds {
        let mut left = STAND_INS;
        for (track, holding) in common {
            if left == 0 || *holding < STAND_IN_HOLDING_MIN {
                break;
            }
            if taken.insert(*track) {
                chosen.push(StandIn { track: *track, weight: stand_in_weight(mean, *holding), seed });
                left -= 1;
            }
        }
    }
    chosen.sort_unstable_by_key(|stand_in| stand_in.track);
    chosen
}

/// Adds to the candidates the first playlists of each stand-in. A holder is a stand-in's number, a playlist that holds
/// it, and the playlist's entries. Source: docs/scoring.md, step 3 (thin pool).
pub fn join(
    candidates: Vec<Candidate>,
    mut holders: Vec<(usize, PlaylistId, u32)>,
    stand_ins: &[StandIn],
) -> Vec<Candidate> {
    let mut all: FxHashMap<PlaylistId, (u32, u64)> =
        candidates.into_iter().map(|(id, entries, weights)| (id, (entries, weights))).collect();
    holders.sort_unstable();
    for some in holders.chunk_by(|a, b| a.0 == b.0) {
        for (number, playlist, entries) in some.iter().take(STAND_IN_PLAYLISTS) {
            all.entry(*playlist).or_insert((*entries, 0)).1 += stand_ins[*number].weight;
        }
    }
    let all = all.into_iter().filter(|(_, (_, weights))| *weights > 0);
    all.map(|(id, (entries, weights))| (id, entries, weights)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_first_ties_by_id() {
        // Σ a / √L: 2, 3, 2, 1.
        let all = [(9, 4, 4), (7, 1, 3), (8, 1, 2), (1, 16, 4)].map(|(id, l, a)| (PlaylistId(id), l, a));
        let lengths = Lengths::new(0.5);
        for (limit, ids) in [(0, &[][..]), (1, &[7]), (2, &[7, 8]), (3, &[7, 8, 9]), (9, &[7, 8, 9, 1])] {
            let found = nearest(&all, &lengths, limit);
            assert_eq!(found.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), ids, "{limit}");
        }
        assert_eq!(nearest(&all, &lengths, 1), [(PlaylistId(7), lengths.similarity(3, 1))]);
    }

    #[test]
    fn five_other_tracks_stand_in_for_a_seed() {
        let by = |tracks: &[(u64, u32)]| tracks.iter().map(|(t, n)| (TrackId(*t), *n)).collect::<Vec<_>>();
        let many = by(&[(1, 50), (2, 50), (3, 9), (4, 9), (5, 8), (6, 7), (7, 2), (8, 1)]);
        let few = by(&[(20, 2), (21, 1)]);
        let taken = [1, 4].map(TrackId);
        for (seeds, expected) in [
            (vec![], vec![]),
            (vec![(4, &few)], vec![(20, 4)]),
            // 1 and 4 are seeds; 8 is on one playlist only.
            (vec![(1, &many)], vec![(2, 1), (3, 1), (5, 1), (6, 1), (7, 1)]),
            (vec![(9, &few), (1, &many), (4, &few)], vec![(2, 1), (3, 1), (5, 1), (6, 1), (7, 1), (20, 9)]),
        ] {
            let seeds = seeds.iter().map(|(seed, s)| (TrackId(*seed), s.as_slice()));
            let found = stand_ins(seeds, taken.into_iter().collect(), 1_000.0);
            assert_eq!(found.iter().map(|s| (s.track.0, s.seed.0)).collect::<Vec<_>>(), expected);
        }
        // A seed's artist has none left after another's first five.
        let more = by(&(1..=13).map(|n| (n, 30 - n as u32)).collect::<Vec<_>>());
        let seeds = [40, 41, 42].map(|seed| (TrackId(seed), more.as_slice()));
        let found = stand_ins(seeds.into_iter(), FxHashSet::default(), 1_000.0);
        assert_eq!(found.len(), 13);
        let weight = stand_in_weight(1_000.0, 29);
        assert_eq!(found[0], StandIn { track: TrackId(1), weight, seed: TrackId(40) });
    }

    #[test]
    fn the_first_hundred_playlists_of_a_stand_in_join() {
        let there = vec![(PlaylistId(1), 10, 7), (PlaylistId(2), 20, 5)];
        let mut holders: Vec<_> = (2..200).rev().map(|id| (0, PlaylistId(id), 30)).collect();
        holders.extend([(1, PlaylistId(1), 10), (1, PlaylistId(500), 40), (2, PlaylistId(600), 50)]);
        let stand_ins = [3, 4, 0].map(|weight| StandIn { track: TrackId(0), weight, seed: TrackId(0) });
        let mut joined = join(there, holders, &stand_ins);
        joined.sort_unstable();
        assert_eq!(
            joined[..3],
            [(1, 10, 11), (2, 20, 8), (3, 30, 3)].map(|(id, l, a)| (PlaylistId(id), l, a))
        );
        // 2 to 101, what was there, and one of the second; what weighs nothing is no candidate.
        assert_eq!(joined.len(), 102);
        assert_eq!(joined[100..], [(PlaylistId(101), 30, 3), (PlaylistId(500), 40, 4)]);
    }
}
