//! From votes to a list: steps 5 to 7 of docs/scoring.md, at the query's home.

use std::cmp::Reverse;

use rustc_hash::{FxHashMap, FxHashSet};

use super::artists::{Artists, by_holding, holding};
use crate::ids::TrackId;
use crate::query::Source;
use crate::query::read::ballot::Voted;
use crate::scoring::{Mixed, Prior, fill, mix};
use crate::views::Views;
use crate::views::popularity::{LISTED_MIN, Popularity};

/// One place of the list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Which track.
    pub track: TrackId,
    /// See [`crate::query::Recommended::score`].
    pub score: f64,
    /// What brought it here.
    pub source: Source,
    /// The votes for it, if that is what did.
    pub votes: u64,
    holding: u32,
}

/// All tracks in the order in which they are recommended, found as far as somebody wants to know it.
pub struct Ranking {
    /// Tracks that similar playlists vote for, and tracks that only playlists with a like title hold.
    voted: [(Source, Vec<(TrackId, u64)>); 2],
    /// What a track has that every playlist votes for.
    total: f64,
    prior: Prior,
    known: Vec<TrackId>,
    artists: Artists,
    fill: usize,
    unwanted: FxHashSet<TrackId>,
}

/// What the list is made from.
pub struct Ballots {
    /// What tracks have got.
    pub voted: Voted,
    /// θ
    pub title_adds: f64,
    /// What is known before any vote.
    pub prior: Prior,
    /// The same where a title is all there is.
    pub title_prior: Prior,
    /// Seeds that some playlist holds.
    pub known: Vec<TrackId>,
    /// Their artists.
    pub artists: Artists,
    /// How many tracks of theirs fill a short list.
    pub fill: usize,
    /// Seeds, and what is excluded.
    pub unwanted: FxHashSet<TrackId>,
}

impl Ranking {
    /// Of what playlists gave, those with a like title and those like the seeds.
    pub fn new(ballots: Ballots) -> Self {
        let Ballots { voted, title_adds, prior, title_prior, known, artists, fill, unwanted } = ballots;
        let Voted { tracks, total, matches } = voted;
        let Mixed { voted, titled, total, alone } = mix(&tracks, (total, matches), title_adds, &known);
        let voted = [(Source::Cooccurrence, voted), (Source::Title, titled)];
        let prior = if alone { title_prior } else { prior };
        Ranking { voted, total: total.max(1.0), prior, known, artists, fill, unwanted }
    }

    /// The first `limit` places; all of them if it is `usize::MAX`.
    pub fn top(&self, limit: usize, views: &Views, epoch: u64) -> Vec<Place> {
        let mut list = self.scored(limit, views, epoch);
        let short = limit - list.len();
        if short == 0 {
            return list;
        }
        let taken = list.iter().map(|place| place.track).chain(self.unwanted.iter().copied()).collect();
        let (by_artists, popular) = fill(
            taken,
            short,
            self.fill,
            || self.artists.common(self.artists.all(), views, epoch),
            || most_popular(limit.saturating_add(self.unwanted.len()), views, epoch),
        );
        let playlists = f64::from(self.prior.playlists.max(1));
        let places = |source, tracks: Vec<(TrackId, u32)>| {
            tracks.into_iter().map(move |(track, holding)| {
                let score = f64::from(holding) / playlists;
                Place { track, score, source, votes: 0, holding }
            })
        };
        list.extend(places(Source::Artist, by_artists).chain(places(Source::Popular, popular)));
        list
    }

    /// Tracks that have votes, by score, then popularity, then id.
    fn scored(&self, limit: usize, views: &Views, epoch: u64) -> Vec<Place> {
        let by_artist = self.artists.of_seeds(&self.known);
        let most = by_artist.iter().map(|(count, _)| *count).max().unwrap_or(0);
        let mut list = Vec::new();
        let votes = self.voted.iter().flat_map(|(_, voted)| voted).map(|(_, votes)| *votes);
        let limited = limit.saturating_add(self.unwanted.len());
        let is_promising = promising(votes.collect(), limited, self.prior.bounds(most));
        for (source, voted) in &self.voted {
            let voted = voted.iter().filter(|(_, votes)| is_promising(*votes));
            let voted: Vec<(TrackId, u64)> = voted.copied().collect();
            let tracks: Vec<TrackId> = voted.iter().map(|(track, _)| *track).collect();
            let places: FxHashMap<TrackId, usize> = tracks.iter().copied().zip(0..).collect();
            let mut counts = vec![0; tracks.len()];
            for (count, tracks) in &by_artist {
                tracks.iter().filter_map(|track| places.get(track)).for_each(|place| counts[*place] = *count);
            }
            let holding = holding(views, &tracks, epoch);
            list.extend(voted.iter().zip(counts).zip(holding).map(|(((track, votes), count), holding)| {
                let score = *votes as f64 / self.total * self.prior.factor(count, holding);
                Place { track: *track, score, source: *source, votes: *votes, holding }
            }));
        }
        list.retain(|place| !self.unwanted.contains(&place.track));
        let order = |place: &Place| (Reverse(place.holding), place.track);
        list.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then_with(|| order(a).cmp(&order(b))));
        list.truncate(limit);
        list
    }
}

/// The first `limit` tracks of the chart at least, some of them twice. Where more are wanted than it lists, it is not
/// made so long for that, as it would be locked meanwhile.
fn most_popular(limit: usize, views: &Views, epoch: u64) -> Vec<(TrackId, u32)> {
    if limit <= LISTED_MIN {
        return views.popularity.write().top(limit, epoch);
    }
    by_holding(Popularity::held_by(&views.popularity, 1, epoch), views, epoch)
}

/// Whether one of these votes can be among the best `limit`, if the factors of all are between these bounds: to look
/// up more than that takes longer than all the rest.
fn promising(mut votes: Vec<u64>, limit: usize, (low, high): (f64, f64)) -> impl Fn(u64) -> bool {
    let mut certain = 0.0;
    if limit > 0 && limit < votes.len() {
        let (_, least, _) = votes.select_nth_unstable_by_key(limit - 1, |votes| Reverse(*votes));
        certain = *least as f64 * low;
    }
    move |votes| votes as f64 * high >= certain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_among_the_best_is_left_out() {
        let left = |limit, bounds| {
            let is_promising = promising((1..=10).collect(), limit, bounds);
            (1..=10).filter(|votes| is_promising(*votes)).collect::<Vec<_>>()
        };
        assert_eq!(left(2, (1.0, 1.0)), [9, 10]);
        // 9 · ½ is certain; 5 may become it.
        assert_eq!(left(2, (0.5, 1.0)), [5, 6, 7, 8, 9, 10]);
        assert_eq!(left(2, (0.5, 0.6)), [8, 9, 10]);
        assert_eq!(left(10, (0.5, 1.0)).len(), 10);
    }
}
