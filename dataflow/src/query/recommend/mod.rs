//! Recommendations, after docs/scoring.md: seeds → playlists that hold some of them → votes → the best, filled
//! up with tracks of the seeds' artists and popular ones.
//!
//! The rounds: the playlist that gives the seeds · sampled playlists with the seeds that they hold, playlists
//! with a like title, the seeds' artists · where that is little, what else is by these artists, and its
//! playlists · votes · names. What belongs together is asked for at once.

mod artists;
mod list;
mod ranking;
mod weighed;

use rustc_hash::{FxHashMap, FxHashSet};

use super::plan::{Here, Next, Plan, Start};
use super::read::ballot::{Ballot, Voted, Votes};
use super::read::holding::{Held, Holding};
use super::read::stand_ins::First;
use super::read::titled::{Titled, wanted};
use super::read::{Found, Read};
use super::{Body, Recommend, Recommendations, Seeds};
use crate::ids::{PlaylistId, TitleId, TrackId};
use crate::scoring::{
    Candidate, Lengths, Prior, STAND_IN_PLAYLISTS, StandIn, Voting, Wanted, best, join, nearest, stand_ins,
};
use crate::settings::{self, Constants};
use crate::title;
use artists::Artists;
pub use list::BECAUSE_MAX;
use list::{List, Reasons};
use ranking::{Ballots, Ranking};
use weighed::{Weighed, candidates};

/// Tracks of a playlist that serve as its seeds: those with the smallest ids, so a fair draw.
const SEEDS_MAX: usize = 500;

/// What is waited for.
enum Stage {
    Playlist,
    Seeds,
    ByArtist,
    First,
    Votes,
    Cards(Box<List>),
}

pub struct Recommending {
    wanted: Recommend,
    knobs: settings::Recommend,
    stage: Stage,
    /// Distinct, in the order given.
    seeds: Vec<TrackId>,
    /// Such of them as some playlist holds.
    known: Vec<TrackId>,
    unknown: Vec<TrackId>,
    but: Option<PlaylistId>,
    /// Of the title asked for.
    keys: Vec<TitleId>,
    unwanted: FxHashSet<TrackId>,
    artists: Artists,
    weighed: Weighed,
    candidates: Vec<Candidate>,
    /// What stands in for seeds: playlists of these are among them.
    stand_ins: Vec<StandIn>,
    /// Playlists with a like title, best first.
    titled: Vec<PlaylistId>,
    /// If it is to be said why.
    why: Option<Reasons>,
}

impl Recommending {
    pub fn new(wanted: Recommend) -> Self {
        let unwanted = wanted.exclude.iter().copied().collect();
        Recommending {
            knobs: settings::Recommend::default(),
            stage: Stage::Playlist,
            seeds: Vec::new(),
            known: Vec::new(),
            unknown: Vec::new(),
            but: None,
            keys: wanted.title.as_deref().map(title::keys).unwrap_or_default(),
            unwanted,
            artists: Artists::default(),
            weighed: Weighed::default(),
            candidates: Vec::new(),
            stand_ins: Vec::new(),
            titled: Vec::new(),
            why: None,
            wanted,
        }
    }

    /// What is asked once the seeds are known.
    fn ask_about(&mut self, seeds: &[TrackId], start: &Start) -> Vec<(u64, Read)> {
        self.stage = Stage::Seeds;
        self.unwanted.extend(seeds);
        let mut there = FxHashSet::default();
        self.seeds = seeds.iter().copied().filter(|seed| there.insert(*seed)).take(SEEDS_MAX).collect();
        let (sample, but) = (self.sample(), self.but);
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        let mut asks = start.everyone(&Read::Holding(Holding { seeds, sample, but }));
        if !self.keys.is_empty() {
            let (keys, limit) = (self.keys.clone(), self.knobs.titled.highest() as usize);
            asks.extend(start.everyone(&Read::Titled(Titled { keys, sample, limit, but })));
        }
        if self.knobs.asks_for_artists() && !self.seeds.is_empty() {
            asks.extend(start.owners(self.seeds.iter().copied(), |seed| seed.0, Read::Artists));
        }
        asks
    }

    /// Weighs the seeds, and finds the playlists that are like them.
    fn weigh(&mut self, found: Vec<Found>, here: &Here<'_>) {
        let (mut held, mut titled) = (Vec::<Held>::new(), Vec::new());
        for found in found {
            match found {
                Found::Holding(part) => held.push(part),
                Found::Titled(part) => titled.extend(part),
                artists => self.artists.take(artists),
            }
        }
        self.weighed = Weighed::new(&self.seeds, self.sample(), here.views, here.epoch);
        let titled = best(titled, self.constants().titled).into_iter().map(|(playlist, _)| playlist);
        self.titled = titled.collect();
        {
            let popularity = here.views.popularity.read();
            let held = |seed: &TrackId| popularity.of(*seed, here.epoch) > 0;
            (self.known, self.unknown) = self.seeds.iter().copied().partition(held);
        }
        if self.weighed.known >= self.knobs.decorrelate_from {
            let ordered = matches!(self.wanted.seeds, Seeds::Tracks(_)) && !self.wanted.random_seeds;
            let lengths = Lengths::new(self.constants().length);
            self.weighed.decorrelate(&held, &self.known, ordered, &lengths);
        }
        self.candidates = candidates(&held, &self.weighed);
    }

    /// m
    fn sample(&self) -> u32 {
        self.knobs.sample_of(self.seeds.len())
    }

    fn constants(&self) -> Constants {
        self.knobs.constants(self.weighed.known, self.weighed.playlists, self.wanted.random_seeds)
    }

    fn ask_by_artist(&self, here: &Here<'_>) -> Vec<(u64, Read)> {
        here.start.everyone(&Read::ByArtist(self.artists.all()))
    }

    /// What is asked once it is known which playlists vote. `by_artist`: whether what the artists made is not
    /// known yet.
    fn ask_for_votes(&mut self, by_artist: bool, here: &Here<'_>) -> Next {
        self.stage = Stage::Votes;
        let constants = self.constants();
        let lengths = Lengths::new(constants.length);
        let mut nearest = nearest(&self.candidates, &lengths, self.knobs.nearest as usize);
        let one = nearest.first().map_or(0, |(_, similarity)| *similarity);
        let title =
            if self.keys.is_empty() { Wanted::default() } else { wanted(here.views, &self.keys, here.epoch) };
        // Samples miss nothing if they are all there is; nor of an only seed, and all chances are alike then.
        let halved = self.weighed.seeds.iter().map(|(.., level)| *level).max().unwrap_or(0);
        let recount =
            self.knobs.recount && (!self.stand_ins.is_empty() || halved > 0 && self.weighed.seeds.len() > 1);
        let ballot = Ballot {
            seeds: self.weighed.seeds.clone(),
            recount,
            length: constants.length,
            voting: Voting { one, power: constants.power, title: constants.title_votes },
            title,
        };
        // Where there are seeds, a title that adds nothing need not be read.
        let mut titled = std::mem::take(&mut self.titled);
        if constants.title_adds == 0.0 && !nearest.is_empty() {
            titled.clear();
        }
        nearest.sort_unstable();
        titled.sort_unstable();
        self.why = self.wanted.explain.then(|| Reasons {
            ballot: ballot.clone(),
            stand_ins: self.stand_ins.clone(),
            nearest: nearest.clone(),
            seeds: FxHashMap::default(),
        });
        let peers = here.start.peers;
        let lives = |playlist: PlaylistId, owner: u64| playlist.0 % peers == owner;
        let mut asks: Vec<(u64, Read)> = (0..peers)
            .map(|owner| {
                let nearest =
                    nearest.iter().copied().filter(|(playlist, _)| lives(*playlist, owner)).collect();
                let titled = titled.iter().copied().filter(|playlist| lives(*playlist, owner)).collect();
                (owner, Read::Votes(Votes { ballot: ballot.clone(), nearest, titled }))
            })
            .collect();
        if by_artist {
            asks.extend(self.ask_by_artist(here));
        }
        Next::Ask(asks)
    }

    /// Asks for the names of more places, until the list is long enough.
    fn go_on(&mut self, mut list: Box<List>, here: &Here<'_>) -> Next {
        let asks = list.ask(here);
        if asks.is_empty() {
            let unknown_seeds = std::mem::take(&mut self.unknown);
            return Next::Done(Body::Recommendations(Some(Recommendations {
                tracks: list.tracks,
                unknown_seeds,
            })));
        }
        self.stage = Stage::Cards(list);
        Next::Ask(asks)
    }

    /// Adds up the votes, and ranks what they are for.
    fn rank(&mut self, found: Vec<Found>) -> Ranking {
        let mut all = Vec::new();
        for found in found {
            match found {
                Found::Votes(part) => all.push(part),
                artists => self.artists.take(artists),
            }
        }
        let constants = self.constants();
        let (seeds, playlists) = (self.weighed.known, self.weighed.playlists);
        let Constants { artist, popularity, title_adds, .. } = constants;
        let prior = Prior { artist, popularity, seeds, playlists };
        let titles = self.knobs.constants(0, playlists, false);
        Ranking::new(Ballots {
            voted: Voted::sum(all),
            title_adds,
            prior,
            title_prior: Prior { artist: 0.0, popularity: titles.popularity, ..prior },
            known: std::mem::take(&mut self.known),
            artists: std::mem::take(&mut self.artists),
            fill: self.knobs.artist_fill as usize,
            unwanted: std::mem::take(&mut self.unwanted),
        })
    }
}

impl Plan for Recommending {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        self.knobs = self.wanted.knobs.as_deref().copied().unwrap_or(start.settings.recommend);
        match &self.wanted.seeds {
            Seeds::Playlist(playlist) => vec![(playlist.0 % start.peers, Read::Playlist(*playlist))],
            Seeds::Tracks(tracks) => {
                let tracks = tracks.clone();
                self.ask_about(&tracks, start)
            }
        }
    }

    fn next(&mut self, found: Vec<Found>, here: &Here<'_>) -> Next {
        match std::mem::replace(&mut self.stage, Stage::Votes) {
            Stage::Playlist => {
                let Some(Found::Playlist(Some((playlist, tracks)))) = found.into_iter().next() else {
                    return Next::Done(Body::Recommendations(None));
                };
                if let Seeds::Playlist(id) = self.wanted.seeds {
                    self.but = Some(id);
                }
                if self.keys.is_empty() {
                    self.keys = playlist.title.as_deref().map(title::keys).unwrap_or_default();
                }
                Next::Ask(self.ask_about(&tracks, &here.start))
            }
            Stage::Seeds => {
                self.weigh(found, here);
                let some = !self.artists.of.is_empty();
                if some && !self.known.is_empty() && self.candidates.len() < self.knobs.thin as usize {
                    self.stage = Stage::ByArtist;
                    return Next::Ask(self.ask_by_artist(here));
                }
                self.ask_for_votes(some, here)
            }
            Stage::ByArtist => {
                found.into_iter().for_each(|found| self.artists.take(found));
                let common = self.artists.common_of_each(here.views, here.epoch);
                let artist_of =
                    |seed: &TrackId| Some((*seed, common.get(self.artists.of.get(seed)?)?.as_slice()));
                let seeds = self.seeds.iter().copied().collect();
                self.stand_ins =
                    stand_ins(self.known.iter().filter_map(artist_of), seeds, self.weighed.mean());
                if self.stand_ins.is_empty() {
                    return self.ask_for_votes(false, here);
                }
                self.stage = Stage::First;
                let tracks = self.stand_ins.iter().map(|stand_in| stand_in.track).collect();
                let first = First { tracks, limit: STAND_IN_PLAYLISTS, but: self.but };
                Next::Ask(here.start.everyone(&Read::First(first)))
            }
            Stage::First => {
                let parts = found
                    .into_iter()
                    .filter_map(|f| if let Found::First(part) = f { Some(part) } else { None });
                let there = std::mem::take(&mut self.candidates);
                self.candidates = join(there, parts.flatten().collect(), &self.stand_ins);
                self.ask_for_votes(false, here)
            }
            Stage::Votes => {
                let ranking = self.rank(found);
                let Recommend { limit, max_per_artist, .. } = self.wanted;
                let list = List::new(ranking, limit, max_per_artist, self.why.take());
                self.go_on(Box::new(list), here)
            }
            Stage::Cards(mut list) => {
                list.take(found);
                self.go_on(list, here)
            }
        }
    }
}
