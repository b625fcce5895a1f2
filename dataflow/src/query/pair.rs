//! Two tracks beside each other: how many playlists hold both, counted exactly where the playlists live.

use super::plan::{Here, Next, Plan, Start, cards};
use super::read::{Found, Read};
use super::{Body, PairAnswer, TrackAnswer};
use crate::ids::TrackId;
use crate::scoring::Likeness;

pub struct Pairing {
    track: TrackId,
    with: TrackId,
    counted: Option<Both>,
}

/// Playlists that hold both of two tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Both {
    /// All of them.
    pub shared: u32,
    /// Those in the sample of the first track.
    pub sample_shared: u32,
    /// Playlists in that sample.
    pub sample: u32,
}

impl Pairing {
    pub fn new(track: TrackId, with: TrackId) -> Self {
        Pairing { track, with, counted: None }
    }
}

impl Plan for Pairing {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        let sample = start.settings.neighbours.sample;
        start.everyone(&Read::Both { track: self.track, with: self.with, sample })
    }

    fn next(&mut self, found: Vec<Found>, here: &Here<'_>) -> Next {
        let Some(both) = self.counted else {
            let mut all = Both::default();
            for part in found.iter().filter_map(|f| if let Found::Both(part) = f { Some(part) } else { None })
            {
                all.shared += part.shared;
                all.sample_shared += part.sample_shared;
                all.sample += part.sample;
            }
            self.counted = Some(all);
            let mut tracks = vec![self.track, self.with];
            tracks.dedup();
            return here.cards(tracks);
        };
        let cards = cards(found);
        let answer = |track: TrackId| {
            let (card, playlists) = cards.get(&track).ok_or(track)?.clone();
            Ok(TrackAnswer { track: card, playlists })
        };
        let (track, with) = match (answer(self.track), answer(self.with)) {
            (Ok(track), Ok(with)) => (track, with),
            (Err(absent), _) | (_, Err(absent)) => return Next::Done(Body::Pair(Err(absent))),
        };
        let playlists = here.views.popularity.read().playlists(here.epoch);
        let likeness = Likeness::new(both.shared, track.playlists, with.playlists, playlists);
        Next::Done(Body::Pair(Ok(Box::new(PairAnswer { track, with, both, likeness }))))
    }
}
