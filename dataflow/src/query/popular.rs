//! The chart of popularity: every worker has all of it, so the home reads it alone.

use super::Body;
use super::plan::{Here, Next, Plan, Start, cards};
use super::read::{Found, Read};
use crate::ids::TrackId;

pub struct Charting {
    limit: usize,
    chart: Option<Vec<(TrackId, u32)>>,
}

impl Charting {
    pub fn new(limit: usize) -> Self {
        Charting { limit, chart: None }
    }
}

impl Plan for Charting {
    fn start(&mut self, start: &Start) -> Vec<(u64, Read)> {
        vec![(start.home, Read::Popular(self.limit))]
    }

    fn next(&mut self, mut found: Vec<Found>, here: &Here<'_>) -> Next {
        if let Some(chart) = self.chart.take() {
            let mut cards = cards(found);
            let named = chart.into_iter().filter_map(|(track, count)| Some((cards.remove(&track)?.0, count)));
            return Next::Done(Body::Popular(named.collect()));
        }
        let chart = if let Some(Found::Popular(chart)) = found.pop() { chart } else { Vec::new() };
        let asks = here.cards(chart.iter().map(|(track, _)| *track));
        self.chart = Some(chart);
        asks
    }
}
