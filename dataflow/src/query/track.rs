//! A track: its owner knows names and popularity.

use super::plan::{Here, Next, Plan, Start, cards};
use super::read::{Found, Read};
use super::{Body, TrackAnswer};
use crate::ids::TrackId;

pub struct ReadingTrack(pub TrackId);

impl Plan for ReadingTrack {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        vec![(self.0.0 % start.peers, Read::Cards(vec![self.0]))]
    }

    fn next(&mut self, found: Vec<Found>, _here: &Here<'_>) -> Next {
        let found = cards(found).remove(&self.0);
        Next::Done(Body::Track(found.map(|(track, playlists)| TrackAnswer { track, playlists })))
    }
}
