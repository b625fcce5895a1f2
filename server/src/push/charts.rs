//! The charts: asked for now and then, and sent if they are others than before.

use segue_connectors::redis::layout::{Chart, dated, json};
use segue_connectors::redis::{Connection, Error, Write};
use segue_dataflow::query::TrackAnswer;
use segue_dataflow::workers::Engine;
use serde::Serialize;

use super::ledger::Ledger;
use crate::charts::Charts;
use crate::http::show;
use crate::metrics;

/// What was sent last, without its epoch.
#[derive(Default)]
pub struct Pushed {
    sent: [String; 2],
    /// The offsets as-of which that was.
    next: Vec<u64>,
}

#[derive(Serialize)]
struct Popular<'a> {
    chart: Vec<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    uri: &'a str,
    playlists: u32,
}

#[derive(Serialize)]
struct Trending<'a> {
    days: u16,
    through: Option<jiff::civil::Date>,
    chart: Vec<Grown<'a>>,
}

#[derive(Serialize)]
struct Grown<'a> {
    uri: &'a str,
    playlists: u32,
    added: u32,
    before: u32,
    growth: f64,
}

impl Pushed {
    /// Whether either is to be sent again, whatever it is.
    pub fn doubt(&mut self) {
        *self = Pushed::default();
    }

    /// Sends those that have changed since; false if there is no room for one.
    pub fn send(
        &mut self,
        next: &[u64],
        (engine, days, limit): (&Engine, u16, usize),
        connection: &mut Connection,
        ledger: &mut Ledger,
    ) -> Result<bool, Error> {
        if self.next == next && self.sent.iter().all(|sent| !sent.is_empty()) {
            return Ok(true);
        }
        let Some(charts) = Charts::read(engine, days, limit) else { return Ok(true) };
        let (epoch, bodies) = (charts.as_of, [popular(&charts), trending(&charts)]);
        let (mut writes, mut has_room) = (Vec::new(), true);
        for (number, (chart, body)) in [Chart::Popular, Chart::Trending].into_iter().zip(bodies).enumerate() {
            let (key, value) = (connection.layout().chart(chart), dated(epoch, &body));
            if body == self.sent[number] {
                continue;
            }
            if ledger.other(number, key.len() + value.len()) {
                writes.push((number, body, Write { key, value, epoch, gone: false }));
            } else {
                self.sent[number].clear();
                has_room = false;
            }
        }
        for (number, body, write) in writes {
            let won = connection.put(std::slice::from_ref(&write))?;
            // A newer one than ours is left alone, and ours is sent again later.
            self.sent[number] = if won == [true] { body } else { String::new() };
            metrics::redis_set(0, won.iter().filter(|won| !**won).count(), 0);
        }
        next.clone_into(&mut self.next);
        Ok(has_room)
    }
}

fn popular(charts: &Charts) -> String {
    let all = charts.popular.iter();
    let chart = all.map(|(track, playlists)| Place { uri: &track.uri, playlists: *playlists });
    json(&Popular { chart: chart.collect() })
}

fn trending(charts: &Charts) -> String {
    let chart = charts.trending.chart.iter().map(|(TrackAnswer { track, playlists }, growth)| Grown {
        uri: &track.uri,
        playlists: *playlists,
        added: growth.added,
        before: growth.before,
        growth: growth.standard_errors(),
    });
    json(&Trending {
        days: charts.days,
        through: show::date(charts.trending.through),
        chart: chart.collect(),
    })
}
