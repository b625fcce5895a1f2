//! Back where the rows live: what all processes have counted is added up, and the rows take it in.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator as _;

use super::count::{Found, Reply, Wanted};
use super::row::Row;
use super::stats::{self, Operator};
use super::step::Changed;
use super::{Graph, SLICE};
use crate::ids::TrackId;
use crate::query::{Hub, Local, Tally};

/// How many questions a row that is counted anew stands for: it takes more time, and much more memory.
const RECOUNT: usize = 128;

/// What is asked and not yet answered by all.
#[derive(Default)]
pub struct Open {
    asked: FxHashMap<(TrackId, Option<TrackId>), Asked>,
    weight: usize,
}

struct Asked {
    /// Processes that have not replied.
    left: u64,
    wanted: Wanted,
    sampled: u32,
    parts: Vec<Vec<(TrackId, u64)>>,
    count: i32,
}

impl Open {
    /// How much is asked.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Something is asked of so many processes.
    pub fn ask(&mut self, wanted: Wanted, processes: u64) {
        let (key, weight) = wanted.key();
        self.weight += weight;
        let asked = Asked { left: processes, wanted, sampled: 0, parts: Vec::new(), count: 0 };
        self.asked.insert(key, asked);
    }

    /// A process has replied; gives what was asked if it was the last.
    fn reply(&mut self, reply: Reply) -> Option<Asked> {
        let key = match &reply.found {
            Found::Row { .. } => (reply.track, None),
            Found::Shared { other, .. } => (reply.track, Some(*other)),
        };
        let asked = self.asked.get_mut(&key)?;
        match reply.found {
            Found::Row { sampled, shared } => {
                asked.sampled += sampled;
                asked.parts.push(shared);
            }
            Found::Shared { count, .. } => asked.count += count,
        }
        asked.left -= 1;
        if asked.left > 0 { None } else { self.asked.remove(&key) }
    }

    /// It has been taken in.
    fn done(&mut self, asked: &Asked) {
        self.weight -= asked.wanted.key().1;
    }
}

impl Wanted {
    fn key(&self) -> ((TrackId, Option<TrackId>), usize) {
        match self {
            Wanted::Row { track, .. } => ((*track, None), RECOUNT),
            Wanted::Shared { track, other, .. } => ((*track, Some(*other)), 1),
        }
    }
}

/// Builds the operator; gives rows that have changed. Whatever the graph will still read of the views is
/// as-of the frontier here, or later.
pub fn settle<'s>(
    replies: StreamVec<'s, u64, Reply>,
    graph: &Local<Graph>,
    hub: &Local<Hub>,
) -> StreamVec<'s, u64, Vec<Changed>> {
    let scope = replies.scope();
    let (_, _, stats) = graph.borrow().outfit();
    let (graph, hub) = (Rc::clone(graph), Rc::clone(hub));
    let reader = hub.borrow_mut().reader();
    replies.unary_frontier(Exchange::new(|reply: &Reply| reply.home), "Settle", move |_cap, info| {
        let activator = scope.activator_for(info.address);
        let mut ready: VecDeque<(Capability<u64>, Asked)> = VecDeque::new();
        move |(input, frontier), output| {
            let begun = Instant::now();
            let mut graph = graph.borrow_mut();
            input.for_each(|cap, replies| {
                let answered = replies.drain(..).filter_map(|reply| graph.open.reply(reply));
                if let Some(cap) = cap.retain_least(0) {
                    ready.extend(answered.map(|asked| (cap.clone(), asked)));
                }
            });
            while begun.elapsed() < SLICE
                && let Some((cap, asked)) = ready.pop_front()
            {
                graph.open.done(&asked);
                if let Some(changed) = graph.settle(*cap.time(), asked) {
                    output.session(&cap).give(vec![changed]);
                }
            }
            match ready.is_empty() {
                true => graph.wake_rows.iter().for_each(|rows| rows.activate()),
                false => activator.activate(),
            }
            drop(graph);
            hub.borrow_mut().hold(reader, frontier.frontier().first().copied());
            stats.worked(Operator::Settle, begun.elapsed());
        }
    })
}

impl Graph {
    /// A row takes in what was counted.
    fn settle(&mut self, epoch: u64, asked: Asked) -> Option<Changed> {
        match asked.wanted {
            Wanted::Row { track, level } => {
                stats::sub(&self.stats.dirty, 1);
                stats::add(&self.stats.recounts, 1);
                let row = Row::new(self.rules.keep as usize, level, asked.sampled, sums(asked.parts));
                self.set(epoch, track, Some(Arc::new(row)))
            }
            Wanted::Shared { track, other, .. } => {
                stats::add(&self.stats.questions, 1);
                let count = asked.count.unsigned_abs();
                let (changed, listed) = self.change(epoch, track, |row| row.told(other, count))?;
                stats::add(&self.stats.found, usize::from(listed));
                changed
            }
        }
    }
}

/// The sum of each track's counts.
fn sums(mut parts: Vec<Vec<(TrackId, u64)>>) -> Vec<(Reverse<u32>, TrackId)> {
    let rank = |(track, count): (TrackId, u64)| (Reverse(count as u32), track);
    if parts.len() == 1 {
        return parts.pop().into_iter().flatten().map(rank).collect();
    }
    Tally::with(parts.iter().map(Vec::len).sum(), |sums| {
        parts.into_iter().flatten().for_each(|(track, count)| sums.add(track.0, count as i64));
        sums.iter().map(|(track, count)| rank((TrackId(track), count))).collect()
    })
}
