//! The dataflow of queries: rounds of two operators.
//!
//! `look up` reads what workers were asked for, once everything through the query's epoch is in their
//! views; `gather` brings the replies home, where the plan goes on. A reply says how many there will be,
//! so a gather goes on at the last, without waiting for a frontier.

use std::collections::BTreeMap;
use std::rc::Rc;

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;

use super::Query;
use super::plan::{Ask, Desk, Reply};
use crate::views::{Shared, Views};

/// Rounds there are: the playlist's tracks, the nearest playlists, their votes, names.
const ROUNDS: usize = 4;

/// The views of a worker and how far back each of their readers may still look.
pub struct Hub {
    views: Option<Views>,
    /// The earliest epoch that each look-up may still read; none once it never will again.
    held: [Option<u64>; ROUNDS],
}

impl Hub {
    /// Of these views.
    pub fn new(views: Views) -> Self {
        Hub { views: Some(views), held: [Some(0); ROUNDS] }
    }

    /// The views, until the dataflow has ended.
    pub fn views(&self) -> Option<&Views> {
        self.views.as_ref()
    }

    /// Round `reader` will not read before `epoch` any more, or (none) never again.
    fn hold(&mut self, reader: usize, epoch: Option<u64>) {
        let before = self.held.iter().flatten().min().copied();
        self.held[reader] = epoch;
        match self.held.iter().flatten().min().copied() {
            None => self.views = None,
            Some(since) if Some(since) != before => self.views.iter_mut().for_each(|views| views.hold(since)),
            Some(_) => {}
        }
    }
}

/// Builds all rounds. `complete` has no records: its frontier tells what all views have seen. Answers are
/// put on the desk.
pub fn rounds<'s>(
    queries: StreamVec<'s, u64, Query>,
    complete: &StreamVec<'s, u64, ()>,
    hub: &Shared<Hub>,
    desk: &Shared<Desk>,
) -> StreamVec<'s, u64, Ask> {
    let opened = Rc::clone(desk);
    let first = queries.unary(Pipeline, "Open", move |_cap, _info| {
        move |input, output| {
            input.for_each(|cap, queries| {
                let mut desk = opened.borrow_mut();
                let asks = queries.drain(..).flat_map(|query| desk.open(query));
                if let Some(cap) = cap.retain_least(0) {
                    output.session(&cap).give_iterator(asks);
                }
            });
        }
    });
    (0..ROUNDS).fold(first, |asks, round| gather(look_up(asks, complete.clone(), hub, round), hub, desk))
}

fn look_up<'s>(
    asks: StreamVec<'s, u64, Ask>,
    complete: StreamVec<'s, u64, ()>,
    hub: &Shared<Hub>,
    round: usize,
) -> StreamVec<'s, u64, Reply> {
    let hub = Rc::clone(hub);
    asks.binary_frontier(
        complete,
        Exchange::new(|ask: &Ask| ask.to),
        Pipeline,
        "Look up",
        move |_cap, _info| {
            let mut waiting: BTreeMap<u64, (Capability<u64>, Vec<Ask>)> = BTreeMap::new();
            move |(input, asked), (_, complete), output| {
                input.for_each(|cap, data| {
                    if let Some(cap) = cap.retain_least(0) {
                        waiting.entry(*cap.time()).or_insert_with(|| (cap, Vec::new())).1.append(data);
                    }
                });
                let mut hub = hub.borrow_mut();
                let mut fresh = false;
                while let Some(entry) = waiting.first_entry().filter(|e| !complete.less_equal(e.key())) {
                    let (epoch, (cap, asks)) = entry.remove_entry();
                    let Some(views) = hub.views.as_mut() else { return };
                    if !std::mem::replace(&mut fresh, true) {
                        views.refresh();
                    }
                    output.session(&cap).give_iterator(asks.into_iter().map(|ask| Reply {
                        query: ask.query,
                        home: ask.home,
                        of: ask.of,
                        found: ask.read.run(views, epoch),
                    }));
                }
                let next = asked.frontier().first().copied();
                hub.hold(round, waiting.keys().next().copied().into_iter().chain(next).min());
            }
        },
    )
}

fn gather<'s>(
    replies: StreamVec<'s, u64, Reply>,
    hub: &Shared<Hub>,
    desk: &Shared<Desk>,
) -> StreamVec<'s, u64, Ask> {
    let (hub, desk) = (Rc::clone(hub), Rc::clone(desk));
    replies.unary(Exchange::new(|reply: &Reply| reply.home), "Gather", move |_cap, _info| {
        move |input, output| {
            input.for_each(|cap, replies| {
                let (hub, mut desk) = (hub.borrow(), desk.borrow_mut());
                let (Some(views), Some(cap)) = (hub.views(), cap.retain_least(0)) else { return };
                let epoch = *cap.time();
                let asks = replies.drain(..).flat_map(|reply| desk.reply(reply, views, epoch));
                output.session(&cap).give_iterator(asks);
            });
        }
    })
}
