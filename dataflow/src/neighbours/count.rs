//! In each process: a worker counts the playlists of all that are there, for the rows that ask. To add up what each of
//! them had counted of its own would take half as much time again.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator as _;

use super::row::SHARED_MIN;
use super::stats::{self, Operator, Stats};
use super::{Graph, SLICE};
use crate::ids::{PlaylistId, TrackId};
use crate::query::{Counted, Hub, Local, counted};
use crate::sample;
use crate::views::Views;

/// What a row wants to know of the playlists in its sample.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Wanted {
    /// How many hold each other track.
    Row { track: TrackId, level: u8 },
    /// How many hold this one.
    Shared { track: TrackId, other: TrackId, level: u8 },
}

/// Asks one process for its part, as-of the time of the message.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// The worker that counts.
    pub to: u64,
    /// The worker that has the row.
    pub home: u64,
    /// What is wanted.
    pub wanted: Wanted,
}

/// One process' part, on its way home.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The worker that has the row.
    pub home: u64,
    /// The row.
    pub track: TrackId,
    /// What was counted.
    pub found: Found,
}

/// What one process counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Found {
    /// Playlists in the sample, and of them such as hold each other track; only tracks that may be in a row.
    Row { sampled: u32, shared: Vec<(TrackId, u64)> },
    /// Playlists in the sample that hold this track.
    Shared { other: TrackId, count: i32 },
}

/// Builds the operator. A step begins only when all views are complete through its epoch, on all workers, and all have
/// looked at them then; until it has ended, they forget nothing that it reads.
pub fn count<'s>(
    asks: StreamVec<'s, u64, Ask>,
    graph: &Local<Graph>,
    hub: &Local<Hub>,
) -> StreamVec<'s, u64, Reply> {
    let scope = asks.scope();
    let (_, _, stats) = graph.borrow().outfit();
    // What is counted in more than one process is known where it is added up.
    let least = if graph.borrow().place.processes() == 1 { SHARED_MIN.into() } else { 1 };
    let hub = Rc::clone(hub);
    asks.unary(Exchange::new(|ask: &Ask| ask.to), "Count", move |_cap, info| {
        let activator = scope.activator_for(info.address);
        let mut waiting: VecDeque<(Capability<u64>, VecDeque<Ask>)> = VecDeque::new();
        move |input, output| {
            input.for_each(|cap, asks| {
                if let Some(cap) = cap.retain_least(0) {
                    waiting.push_back((cap, asks.drain(..).collect()));
                }
            });
            if waiting.is_empty() {
                return;
            }
            let begun = Instant::now();
            hub.borrow_mut().refresh();
            let Some(views) = hub.borrow().of_process() else { return };
            while let Some((cap, asks)) = waiting.front_mut() {
                let mut session = output.session(&*cap);
                while begun.elapsed() < SLICE
                    && let Some(ask) = asks.pop_front()
                {
                    session.give(ask.answer(&views, least, *cap.time(), &stats));
                }
                drop(session);
                if !asks.is_empty() {
                    activator.activate();
                    break;
                }
                waiting.pop_front();
            }
            stats.worked(Operator::Count, begun.elapsed());
        }
    })
}

impl Ask {
    fn answer(self, views: &Views, least: u64, epoch: u64, stats: &Stats) -> Reply {
        let last = |level: u8| PlaylistId(sample::last(level.into()));
        let (track, found) = match self.wanted {
            Wanted::Row { track, level } => {
                let Counted { sampled, visited, shared } = counted(views, track, last(level), least, epoch);
                stats::add(&stats.visited, visited);
                (track, Found::Row { sampled, shared })
            }
            Wanted::Shared { track, other, level } => {
                let count = views.by_track.common(track, other, last(level), epoch);
                (track, Found::Shared { other, count })
            }
        };
        Reply { home: self.home, track, found }
    }
}
