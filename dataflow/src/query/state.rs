//! The state as a whole: every worker's sums, added up.

use super::plan::{Here, Next, Plan, Start};
use super::read::{Found, Read};
use super::{Body, State};
use crate::apply::Totals;

pub struct Totalling;

impl Plan for Totalling {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        start.everyone(&Read::Totals)
    }

    fn next(&mut self, found: Vec<Found>, here: &Here<'_>) -> Next {
        let mut all = Totals::default();
        for part in found {
            if let Found::Totals(part) = part {
                all.add(&part);
            }
        }
        let tracks = here.views.popularity.read().tracks(here.epoch);
        Next::Done(Body::State(State {
            playlists: all.playlists,
            entries: all.entries,
            tracks,
            digest: all.digest,
        }))
    }
}
