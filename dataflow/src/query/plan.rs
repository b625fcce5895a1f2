//! A plan: how one query goes on from what it was told. It lives at its home worker, on the [`Desk`].

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::board::Board;
use super::read::{Found, Read};
use super::{Answer, Body, Query, Question};
use crate::catalogue::TrackCard;
use crate::ids::TrackId;
use crate::settings::Settings;
use crate::views::Views;

/// A read that worker `to` is asked for; one of `of` such.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// The query it is for.
    pub query: u64,
    /// The worker that wants to know.
    pub home: u64,
    /// The worker that is to read.
    pub to: u64,
    /// How many replies there will be in this round.
    pub of: u32,
    /// What to read.
    pub read: Read,
}

/// What was found, on its way home.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The query it is for.
    pub query: u64,
    /// Where it goes.
    pub home: u64,
    /// How many replies there will be.
    pub of: u32,
    /// What was found.
    pub found: Found,
}

/// What a plan wants next.
pub enum Next {
    /// Reads, each with the worker that is to do it. At least one.
    Ask(Vec<(u64, Read)>),
    /// Nothing more.
    Done(Body),
}

/// Where a plan finds itself.
pub struct Here<'a> {
    /// Where it started.
    pub start: Start,
    /// The views of its home. Complete through `epoch` once its home has replied to an ask.
    pub views: &'a Views,
    /// As-of.
    pub epoch: u64,
}

/// One kind of query.
pub trait Plan {
    /// The first asks.
    fn start(&mut self, here: &Start) -> Vec<(u64, Read)>;
    /// Goes on when all replies of a round are there, in no particular order.
    fn next(&mut self, found: Vec<Found>, here: &Here<'_>) -> Next;
}

/// Where a plan starts.
#[derive(Clone, Copy)]
pub struct Start {
    /// How many workers there are.
    pub peers: u64,
    /// The worker where the query entered.
    pub home: u64,
    /// The knobs.
    pub settings: Settings,
}

impl Start {
    /// The same read for every worker.
    pub fn everyone(&self, read: &Read) -> Vec<(u64, Read)> {
        (0..self.peers).map(|to| (to, read.clone())).collect()
    }

    /// Splits what is owned by different workers; one part at least, so that there is a reply.
    pub fn owners<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        id: impl Fn(&T) -> u64,
        read: impl Fn(Vec<T>) -> Read,
    ) -> Vec<(u64, Read)> {
        let mut parts: Vec<Vec<T>> = (0..self.peers).map(|_| Vec::new()).collect();
        for item in all {
            parts[(id(&item) % self.peers) as usize].push(item);
        }
        let mut asks: Vec<(u64, Read)> = (0..)
            .zip(parts)
            .filter(|(_, part)| !part.is_empty())
            .map(|(to, part)| (to, read(part)))
            .collect();
        if asks.is_empty() {
            asks.push((self.home, read(Vec::new())));
        }
        asks
    }
}

impl Here<'_> {
    /// Asks for the names of tracks.
    pub fn cards(&self, tracks: impl IntoIterator<Item = TrackId>) -> Next {
        Next::Ask(self.start.owners(tracks, |track| track.0, Read::Cards))
    }
}

/// Card and popularity of the tracks that were found.
pub fn cards(found: Vec<Found>) -> FxHashMap<TrackId, (TrackCard, u32)> {
    let lists = found.into_iter().filter_map(|f| if let Found::Cards(list) = f { Some(list) } else { None });
    lists.flatten().map(|(track, card, playlists)| (track, (card, playlists))).collect()
}

/// The sum of each id's scores over all replies.
pub fn sums<I: std::hash::Hash + Eq>(lists: impl Iterator<Item = Vec<(I, u64)>>) -> Vec<(I, u64)> {
    let mut lists: Vec<Vec<(I, u64)>> = lists.collect();
    if lists.len() <= 1 {
        return lists.pop().unwrap_or_default();
    }
    let mut sums = FxHashMap::with_capacity_and_hasher(lists.iter().map(Vec::len).sum(), Default::default());
    for (id, score) in lists.into_iter().flatten() {
        *sums.entry(id).or_insert(0) += score;
    }
    sums.into_iter().collect()
}

/// A query on its way.
struct Open {
    plan: Box<dyn Plan>,
    found: Vec<Found>,
    /// Offsets it includes, noted at the first reply: after the last round they may be forgotten.
    next: Option<Vec<u64>>,
}

/// The queries whose home this worker is.
pub struct Desk {
    start: Start,
    board: Arc<Board>,
    open: FxHashMap<u64, Open>,
    /// Answers, oldest first, for whoever drives the worker to take away.
    pub done: VecDeque<(u64, Answer)>,
}

impl Desk {
    /// The desk of worker `home`.
    pub fn new(home: u64, peers: u64, settings: Settings, board: Arc<Board>) -> Self {
        let start = Start { peers, home, settings };
        Desk { start, board, open: FxHashMap::default(), done: VecDeque::new() }
    }

    /// Takes a query in.
    pub fn open(&mut self, query: Query) -> Vec<Ask> {
        let mut plan = plan(query.question);
        let asks = plan.start(&self.start);
        self.open.insert(query.id, Open { plan, found: Vec::new(), next: None });
        self.asks(query.id, asks)
    }

    /// Takes a reply in; goes on with its query if it was the last of the round.
    pub fn reply(&mut self, reply: Reply, views: &Views, epoch: u64) -> Vec<Ask> {
        let start = self.start;
        let Some(Open { plan, found, next }) = self.open.get_mut(&reply.query) else { return Vec::new() };
        let next = next.get_or_insert_with(|| self.board.next(epoch));
        found.push(reply.found);
        if found.len() < reply.of as usize {
            return Vec::new();
        }
        match plan.next(std::mem::take(found), &Here { start, views, epoch }) {
            Next::Ask(asks) => self.asks(reply.query, asks),
            Next::Done(body) => {
                let next = std::mem::take(next);
                self.open.remove(&reply.query);
                self.done.push_back((reply.query, Answer { as_of: epoch, next, body }));
                Vec::new()
            }
        }
    }

    fn asks(&self, query: u64, asks: Vec<(u64, Read)>) -> Vec<Ask> {
        let of = asks.len() as u32;
        asks.into_iter().map(|(to, read)| Ask { query, home: self.start.home, to, of, read }).collect()
    }
}

/// How a question is answered.
pub fn plan(question: Question) -> Box<dyn Plan> {
    match question {
        Question::Recommend(wanted) => Box::new(super::recommend::Recommending::new(wanted)),
        Question::Playlist(playlist) => Box::new(super::playlist::ReadingPlaylist::new(playlist)),
        Question::Track(track) => Box::new(super::track::ReadingTrack(track)),
        Question::Neighbours { track, limit } => Box::new(super::neighbours::Counting::new(track, limit)),
        Question::Pair { track, with } => Box::new(super::pair::Pairing::new(track, with)),
        Question::Popular { limit } => Box::new(super::popular::Charting::new(limit)),
        Question::Trending { days, limit } => Box::new(super::trending::Trending::new(days, limit)),
        Question::State => Box::new(super::state::Totalling),
    }
}
