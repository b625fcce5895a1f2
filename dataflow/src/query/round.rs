//! The dataflow of queries: a loop of two operators, one round of it after the other.
//!
//! `look up` reads what workers were asked for, once everything through the query's epoch is in their
//! views; `gather` brings the replies home, where the plan goes on. A reply says how many there will be,
//! so a gather goes on at the last, without waiting for a frontier.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{
    Capability, Concat, ConnectLoop, Enter, InputCapability, LoopVariable, Probe,
};
use timely::dataflow::{ProbeHandle, StreamVec};
use timely::order::Product;

use super::Query;
use super::board::Board;
use super::plan::{Ask, Desk, Reply};
use crate::neighbours::{Changed, GraphStep};
use crate::views::{Live, Views};

/// What operators on one worker share.
pub type Local<T> = Rc<RefCell<T>>;

/// When something is asked: the epoch that the query is as-of, and how many rounds it has behind it.
pub type Round = Product<u64, u32>;

/// The views of a worker and how far back each of their readers may still look.
pub struct Hub {
    live: Live,
    views: Views,
    board: Arc<Board>,
    index: usize,
    /// The earliest epoch that each look-up may still read; none once it never will again.
    held: Vec<Option<u64>>,
    /// The earliest epoch that readers outside the dataflow may still read.
    outside: u64,
    since: u64,
}

impl Hub {
    /// Of the views of worker `index` of its process.
    pub fn new(mut live: Live, board: Arc<Board>, index: usize) -> Self {
        let views = live.refresh();
        board.renew(index, views.clone());
        Hub { live, views, board, index, held: Vec::new(), outside: 0, since: 0 }
    }

    /// The views as of the last look.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The views of all workers of this process, each as of its own last look; none before the first.
    pub(crate) fn of_process(&self) -> Option<Views> {
        self.board.views()
    }

    /// Looks at what is there now.
    pub(crate) fn refresh(&mut self) {
        self.views = self.live.refresh();
        self.board.renew(self.index, self.views.clone());
    }

    /// A step of the graph has ended on all workers: see [`Board::step`].
    pub(crate) fn step(&mut self, epoch: u64, changed: Vec<Changed>, tell: impl FnMut(GraphStep)) {
        (self.live.graph, self.views.graph) = (epoch, epoch);
        let since = self.board.step(self.index, epoch, changed, tell);
        self.live.books.rows.write().forget_before(since);
        self.live.books.cards.write().forget_steps_before(since);
    }

    /// Shows what is complete through `epoch` to readers outside the dataflow: see [`Board::show`].
    pub fn show(&mut self, epoch: u64, tell: impl FnOnce(u64, Vec<u64>)) {
        self.refresh();
        self.outside = self.board.show(self.index, epoch, tell);
        self.settle();
    }

    /// One more reader, with its number.
    pub(crate) fn reader(&mut self) -> usize {
        self.held.push(Some(0));
        self.held.len() - 1
    }

    /// Reader number `reader` will not read before `epoch` any more, or (none) never again.
    pub(crate) fn hold(&mut self, reader: usize, epoch: Option<u64>) {
        self.held[reader] = epoch;
        self.settle();
    }

    /// Lets go of what nobody will read any more.
    fn settle(&mut self) {
        let since = self.held.iter().flatten().copied().chain([self.outside]).min().unwrap_or(0);
        if since > self.since {
            self.since = since;
            self.live.hold(since);
            self.board.hold(self.index, since);
        }
    }
}

/// Builds the loop. `complete` has no records: its frontier tells what all views have seen. Answers are put on
/// the desk; `probe` tells which rounds may still come.
pub fn rounds<'s>(
    queries: StreamVec<'s, u64, Query>,
    complete: &StreamVec<'s, u64, ()>,
    hub: &Local<Hub>,
    desk: &Local<Desk>,
    probe: &ProbeHandle<Round>,
) {
    let opened = Rc::clone(desk);
    let scope = queries.scope();
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
    scope.iterative::<u32, _, _>(|inner| {
        let (again, more) = inner.loop_variable(1);
        let asks = first.enter(inner).concat(more);
        let replies = look_up(asks, complete.clone().enter(inner), hub);
        gather(replies, hub, desk).probe_with(probe).connect_loop(again);
    });
}

/// The right to answer a message: all of one were sent at one time.
fn held(cap: &InputCapability<Round>) -> Option<Capability<Round>> {
    cap.stamp().iter().next().map(|time| cap.delayed(time, 0))
}

fn look_up<'s>(
    asks: StreamVec<'s, Round, Ask>,
    complete: StreamVec<'s, Round, ()>,
    hub: &Local<Hub>,
) -> StreamVec<'s, Round, Reply> {
    let hub = Rc::clone(hub);
    let reader = hub.borrow_mut().reader();
    asks.binary_frontier(
        complete,
        Exchange::new(|ask: &Ask| ask.to),
        Pipeline,
        "Look up",
        move |_cap, _info| {
            let mut waiting: BTreeMap<Round, (Capability<Round>, Vec<Ask>)> = BTreeMap::new();
            move |(input, asked), (_, complete), output| {
                input.for_each(|cap, data| {
                    if let Some(cap) = held(&cap) {
                        waiting.entry(*cap.time()).or_insert_with(|| (cap, Vec::new())).1.append(data);
                    }
                });
                let mut hub = hub.borrow_mut();
                let mut fresh = false;
                while let Some(entry) = waiting.first_entry().filter(|e| !complete.less_equal(e.key())) {
                    let (round, (cap, asks)) = entry.remove_entry();
                    if !std::mem::replace(&mut fresh, true) {
                        hub.refresh();
                    }
                    let views = hub.views();
                    output.session(&cap).give_iterator(asks.into_iter().map(|ask| Reply {
                        query: ask.query,
                        home: ask.home,
                        of: ask.of,
                        found: ask.read.run(views, round.outer),
                    }));
                }
                let asked = asked.frontier();
                hub.hold(reader, waiting.keys().chain(asked.iter()).map(|round| round.outer).min());
            }
        },
    )
}

fn gather<'s>(
    replies: StreamVec<'s, Round, Reply>,
    hub: &Local<Hub>,
    desk: &Local<Desk>,
) -> StreamVec<'s, Round, Ask> {
    let (hub, desk) = (Rc::clone(hub), Rc::clone(desk));
    replies.unary(Exchange::new(|reply: &Reply| reply.home), "Gather", move |_cap, _info| {
        move |input, output| {
            input.for_each(|cap, replies| {
                let (hub, mut desk) = (hub.borrow(), desk.borrow_mut());
                let Some(cap) = held(&cap) else { return };
                let views = hub.views();
                let epoch = cap.time().outer;
                let asks = replies.drain(..).flat_map(|reply| desk.reply(reply, views, epoch));
                output.session(&cap).give_iterator(asks);
            });
        }
    })
}
