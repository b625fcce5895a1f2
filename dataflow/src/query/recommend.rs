//! Recommendations: seeds → nearest playlists → votes of their tracks → the best, topped up by popularity.

use rustc_hash::FxHashSet;

use super::plan::{Here, Next, Plan, Start, cards, sums};
use super::read::{Found, Nearest, Read};
use super::{Body, Recommend, Recommendations, Recommended, Seeds, Source};
use crate::ids::{PlaylistId, TrackId};
use crate::scoring::best;

/// Tracks of a playlist that serve as its seeds: those with the smallest ids, so a fair draw.
const SEEDS_MAX: usize = 500;

enum Stage {
    Playlist,
    Nearest,
    Votes { total: u64, source: Source },
    Cards(Vec<(TrackId, f64, Source)>),
}

pub struct Recommending {
    wanted: Recommend,
    stage: Stage,
    seeds: Vec<TrackId>,
    unknown: Vec<TrackId>,
    but: Option<PlaylistId>,
    unwanted: FxHashSet<TrackId>,
}

impl Recommending {
    pub fn new(wanted: Recommend) -> Self {
        let unwanted = wanted.exclude.iter().copied().collect();
        let (stage, seeds) = match &wanted.seeds {
            Seeds::Playlist(_) => (Stage::Playlist, Vec::new()),
            Seeds::Tracks(tracks) => (Stage::Nearest, tracks.clone()),
        };
        Recommending { wanted, stage, seeds, unknown: Vec::new(), but: None, unwanted }
    }

    /// What every worker is asked once the seeds are known.
    fn nearest(&mut self, start: &Start) -> Vec<(u64, Read)> {
        self.unwanted.extend(&self.seeds);
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        seeds.dedup();
        seeds.truncate(SEEDS_MAX);
        let knobs = start.settings.recommend;
        start.everyone(&Read::Nearest(Nearest {
            seeds,
            title: self.wanted.title,
            sample: knobs.sample,
            nearest: knobs.nearest as usize,
            but: self.but,
        }))
    }

    /// The best by votes, then by popularity until there are enough.
    fn rank(
        &self,
        votes: Vec<(TrackId, u64)>,
        total: u64,
        source: Source,
        here: &Here<'_>,
    ) -> Vec<(TrackId, f64, Source)> {
        let limit = self.wanted.limit;
        let mut taken = self.unwanted.clone();
        let voted = best(votes, limit + taken.len()).into_iter().filter(|(track, _)| !taken.contains(track));
        let mut ranked: Vec<_> =
            voted.take(limit).map(|(track, votes)| (track, votes as f64 / total as f64, source)).collect();
        if ranked.len() < limit {
            taken.extend(ranked.iter().map(|(track, ..)| *track));
            let mut popularity = here.views.popularity.write();
            let playlists = f64::from(popularity.playlists(here.epoch).max(1));
            let top = popularity.top(limit + taken.len(), here.epoch);
            let rest = top.into_iter().filter(|(track, _)| !taken.contains(track));
            let rest = rest.map(|(track, count)| (track, f64::from(count) / playlists, Source::Popular));
            ranked.extend(rest.take(limit - ranked.len()));
        }
        ranked
    }
}

impl Plan for Recommending {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        match self.wanted.seeds {
            Seeds::Playlist(playlist) => vec![(playlist.0 % start.peers, Read::Playlist(playlist))],
            Seeds::Tracks(_) => self.nearest(start),
        }
    }

    fn next(&mut self, found: Vec<Found>, here: &Here<'_>) -> Next {
        match &mut self.stage {
            Stage::Playlist => {
                let Some(Found::Playlist(Some((_, tracks)))) = found.into_iter().next() else {
                    return Next::Done(Body::Recommendations(None));
                };
                if let Seeds::Playlist(playlist) = self.wanted.seeds {
                    self.but = Some(playlist);
                }
                (self.seeds, self.stage) = (tracks, Stage::Nearest);
                Next::Ask(self.nearest(&here.start))
            }
            Stage::Nearest => {
                let popularity = here.views.popularity.read();
                let unknown = |seed: &&TrackId| popularity.of(**seed, here.epoch) == 0;
                self.unknown = self.seeds.iter().filter(unknown).copied().collect();
                let known = self.unknown.len() < self.seeds.len();
                let lists =
                    found.into_iter().filter_map(|f| if let Found::Nearest(l) = f { Some(l) } else { None });
                // Playlists of a title all vote alike: ties go to the smallest ids, a fair draw of them.
                let mut nearest =
                    best(lists.flatten().collect(), here.start.settings.recommend.nearest as usize);
                nearest.sort_unstable();
                let total = nearest.iter().map(|(_, vote)| vote).sum::<u64>().max(1);
                let source = if known { Source::Cooccurrence } else { Source::Title };
                self.stage = Stage::Votes { total, source };
                Next::Ask(here.owners(nearest, |(playlist, _)| playlist.0, Read::Votes))
            }
            Stage::Votes { total, source } => {
                let lists =
                    found.into_iter().filter_map(|f| if let Found::Votes(l) = f { Some(l) } else { None });
                let (total, source) = (*total, *source);
                let ranked = self.rank(sums(lists), total, source, here);
                let asks = here.cards(ranked.iter().map(|(track, ..)| *track));
                self.stage = Stage::Cards(ranked);
                asks
            }
            Stage::Cards(ranked) => {
                let mut cards = cards(found);
                let tracks = ranked.iter().filter_map(|(track, score, source)| {
                    let (card, _) = cards.remove(track)?;
                    Some(Recommended { track: card, score: *score, source: *source })
                });
                let tracks = tracks.collect();
                let unknown_seeds = std::mem::take(&mut self.unknown);
                Next::Done(Body::Recommendations(Some(Recommendations { tracks, unknown_seeds })))
            }
        }
    }
}
