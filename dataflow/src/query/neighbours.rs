//! The neighbours of a track: its row in the graph if it has one; else counted on demand over its sample, where
//! each worker counts its own playlists.

use super::plan::{Here, Next, Plan, Start, cards, sums};
use super::read::{Found, FoundRow, Read};
use super::{Body, Neighbour, NeighboursAnswer, TrackAnswer};
use crate::ids::TrackId;
use crate::scoring::{best, cosine};
use crate::settings::Neighbours;

pub struct Counting {
    track: TrackId,
    limit: usize,
    shared: Option<Shared>,
}

/// What shares playlists with the track.
struct Shared {
    graph: Option<u64>,
    /// Playlists counted.
    sampled: u32,
    /// The neighbours with how many they share, best first.
    neighbours: Vec<(TrackId, u64)>,
}

impl Counting {
    pub fn new(track: TrackId, limit: usize) -> Self {
        Counting { track, limit, shared: None }
    }

    fn count(&self, start: &Start) -> Vec<(u64, Read)> {
        start.everyone(&Read::Shared { track: self.track, sample: start.settings.neighbours.sample })
    }

    /// From a row, or from all workers' counts.
    fn shared(&self, found: Vec<Found>, rules: &Neighbours) -> Shared {
        let mut all = Shared { graph: None, sampled: 0, neighbours: Vec::new() };
        let mut counted = Vec::new();
        for found in found {
            match found {
                Found::Row(Some(FoundRow { epoch, sampled, neighbours })) => {
                    all = Shared { graph: Some(epoch), sampled, neighbours };
                }
                Found::Shared(sampled, list) => {
                    all.sampled += sampled;
                    counted.push(list);
                }
                _ => {}
            }
        }
        let keep = if rules.keep > 0 { self.limit.min(rules.keep as usize) } else { self.limit };
        if all.graph.is_some() {
            all.neighbours.truncate(keep);
        } else {
            all.neighbours = best(sums(counted.into_iter()), keep);
        }
        all
    }
}

impl Plan for Counting {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        match start.settings.neighbours.keep {
            0 => self.count(start),
            _ => vec![(self.track.0 % start.peers, Read::Row(self.track))],
        }
    }

    fn next(&mut self, found: Vec<Found>, here: &Here<'_>) -> Next {
        if matches!(found[..], [Found::Row(None)]) {
            return Next::Ask(self.count(&here.start));
        }
        let Some(Shared { graph, sampled, neighbours }) = self.shared.take() else {
            let shared = self.shared(found, &here.start.settings.neighbours);
            let asks = here.cards(shared.neighbours.iter().map(|(track, _)| *track).chain([self.track]));
            self.shared = Some(shared);
            return asks;
        };
        let mut cards = cards(found);
        let Some((track, playlists)) = cards.remove(&self.track) else {
            return Next::Done(Body::Neighbours(None));
        };
        let neighbours = neighbours.into_iter().filter_map(|(other, shared)| {
            let (track, holding) = cards.remove(&other)?;
            let shared = shared as u32;
            Some(Neighbour { track, shared, similarity: cosine(shared, sampled, playlists, holding) })
        });
        Next::Done(Body::Neighbours(Some(NeighboursAnswer {
            neighbours: neighbours.collect(),
            sampled,
            graph,
            track: TrackAnswer { track, playlists },
        })))
    }
}
