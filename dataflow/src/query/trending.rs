//! The chart of growth: which day is the newest, then each owner's most grown tracks, then their names.

use super::plan::{Here, Next, Plan, Start, cards};
use super::read::{Found, Read, most_grown};
use super::{Body, Growth, TrackAnswer, TrendingAnswer};
use crate::apply::Totals;
use crate::day::Day;
use crate::ids::TrackId;

enum Stage {
    Newest,
    Grown(Day),
    Cards(Day, Vec<(TrackId, Growth)>),
}

pub struct Trending {
    days: u16,
    limit: usize,
    stage: Stage,
}

impl Trending {
    pub fn new(days: u16, limit: usize) -> Self {
        Trending { days, limit, stage: Stage::Newest }
    }
}

impl Plan for Trending {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        start.everyone(&Read::Totals)
    }

    fn next(&mut self, found: Vec<Found>, here: &Here<'_>) -> Next {
        match &mut self.stage {
            Stage::Newest => {
                let mut all = Totals::default();
                let parts =
                    found.iter().filter_map(|f| if let Found::Totals(t) = f { Some(t) } else { None });
                parts.for_each(|part| all.add(part));
                let newest = all.newest.day();
                self.stage = Stage::Grown(newest);
                Next::Ask(here.start.everyone(&Read::Grown { newest, days: self.days, limit: self.limit }))
            }
            Stage::Grown(newest) => {
                let lists =
                    found.into_iter().filter_map(|f| if let Found::Grown(l) = f { Some(l) } else { None });
                let chart = most_grown(lists.flatten().collect(), self.limit);
                let asks = here.cards(chart.iter().map(|(track, _)| *track));
                self.stage = Stage::Cards(*newest, chart);
                asks
            }
            Stage::Cards(through, chart) => {
                let mut cards = cards(found);
                let named = chart.iter().filter_map(|(track, growth)| {
                    let (track, playlists) = cards.remove(track)?;
                    Some((TrackAnswer { track, playlists }, *growth))
                });
                Next::Done(Body::Trending(TrendingAnswer { through: *through, chart: named.collect() }))
            }
        }
    }
}
