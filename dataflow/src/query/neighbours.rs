//! The neighbours of a track, counted on demand over its sample: each worker counts its own playlists.

use super::plan::{Here, Next, Plan, Start, cards, sums};
use super::read::{Found, Read};
use super::{Body, Neighbour, NeighboursAnswer, TrackAnswer};
use crate::ids::TrackId;
use crate::scoring::{best, cosine};

pub struct Counting {
    track: TrackId,
    limit: usize,
    /// Playlists counted, and the neighbours with how many they share.
    counted: Option<(u32, Vec<(TrackId, u64)>)>,
}

impl Counting {
    pub fn new(track: TrackId, limit: usize) -> Self {
        Counting { track, limit, counted: None }
    }
}

impl Plan for Counting {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        start.everyone(&Read::Shared { track: self.track, sample: start.settings.neighbours.sample })
    }

    fn next(&mut self, found: Vec<Found>, here: &Here<'_>) -> Next {
        let Some((sampled, shared)) = self.counted.take() else {
            let mut sampled = 0;
            let lists = found.into_iter().filter_map(|f| {
                let Found::Shared(part, list) = f else { return None };
                sampled += part;
                Some(list)
            });
            let shared = sums(lists);
            let shared = best(shared, self.limit.min(here.start.settings.neighbours.keep as usize));
            let asks = here.cards(shared.iter().map(|(track, _)| *track).chain([self.track]));
            self.counted = Some((sampled, shared));
            return asks;
        };
        let mut cards = cards(found);
        let Some((track, playlists)) = cards.remove(&self.track) else {
            return Next::Done(Body::Neighbours(None));
        };
        let neighbours = shared.into_iter().filter_map(|(other, shared)| {
            let (track, holding) = cards.remove(&other)?;
            let shared = shared as u32;
            Some(Neighbour { track, shared, similarity: cosine(shared, sampled, playlists, holding) })
        });
        Next::Done(Body::Neighbours(Some(NeighboursAnswer {
            neighbours: neighbours.collect(),
            sampled,
            track: TrackAnswer { track, playlists },
        })))
    }
}
