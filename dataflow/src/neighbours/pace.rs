//! When the graph takes a step: worker 0 says, for all.
//!
//! A step takes what has changed up to a multiple of the grid that is complete everywhere, and the next one
//! begins when all workers have ended it. If it took longer than the grid, the next is as long as may be
//! without being a burst. In a burst, such as a load, nothing is begun before it is over.

use std::collections::BTreeMap;
use std::rc::Rc;

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::pending::WAITING_MAX;
use super::{Batches, Graph};
use crate::query::Local;

/// Multiples of the grid that together must have no more than one may have, for a burst to be over.
const CALM: u64 = 10;

/// The decision. Changes are worker 0's own, and so is the share of a burst that they are compared with.
struct Pace {
    grid: u64,
    share: usize,
    last: u64,
    /// Changes by the multiple at which they are due.
    due: BTreeMap<u64, usize>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// A step, as-of this epoch.
    Step(u64),
    /// No step before this epoch.
    Wait(u64),
}

impl Pace {
    fn new(grid: u64, share: usize, last: u64) -> Self {
        Pace { grid, share, last, due: BTreeMap::new() }
    }

    /// What there was at the start is in the first step, whenever that is.
    fn changed(&mut self, epoch: u64, changes: usize) {
        if epoch > self.last {
            *self.due.entry(epoch.next_multiple_of(self.grid)).or_default() += changes;
        }
    }

    /// What is next, if everything through `through` is complete.
    fn next(&self, through: u64) -> Next {
        let newest = through / self.grid * self.grid;
        if newest <= self.last {
            return Next::Wait(self.last + 1);
        }
        let due = self.due.range(..=newest);
        let all: usize = due.clone().map(|(_, changes)| changes).sum();
        if all > WAITING_MAX * self.share || due.clone().any(|(_, changes)| *changes > self.share) {
            let since = newest.saturating_sub((CALM - 1) * self.grid);
            let recent: usize = self.due.range(since..=newest).map(|(_, changes)| changes).sum();
            return if recent > self.share { Next::Wait(newest) } else { Next::Step(newest) };
        }
        let mut sum = 0;
        let over = due.clone().find(|(_, changes)| {
            sum += **changes;
            sum > self.share
        });
        Next::Step(over.map_or(newest, |(multiple, _)| multiple - self.grid))
    }

    fn begin(&mut self, epoch: u64) {
        self.last = epoch;
        self.due = self.due.split_off(&(epoch + 1));
    }
}

/// Builds the operator: every worker is sent its number at the time of each step. `complete` has no records.
pub fn pace<'s>(
    batches: Batches<'s>,
    complete: StreamVec<'s, u64, ()>,
    graph: &Local<Graph>,
) -> StreamVec<'s, u64, u64> {
    let scope = batches.scope();
    let (me, peers) = (scope.index(), scope.peers() as u64);
    let graph = Rc::clone(graph);
    batches.binary_frontier(complete, Pipeline, Pipeline, "Pace", move |cap, info| {
        let mut held = (me == 0).then_some(cap);
        let mut pace = {
            let mut graph = graph.borrow_mut();
            graph.wake_pace = Some(scope.activator_for(info.address));
            Pace::new(graph.grid(), graph.share(), graph.ended)
        };
        move |(batches, _), (ended, complete), output| {
            ended.for_each(|_cap, data| data.clear());
            batches.for_each(|_cap, spans| {
                for batch in spans.drain(..).filter_map(|span| span.inner).filter(|_| me == 0) {
                    if batch.updates() > pace.share {
                        batch.epochs().for_each(|epoch| pace.changed(epoch, batch.updates()));
                    } else {
                        batch.scan(|_, _, epoch, _| pace.changed(epoch, 1));
                    }
                }
            });
            let Some(through) = complete.frontier().first().map(|next| next.saturating_sub(1)) else {
                held = None;
                return;
            };
            let Some(cap) = &mut held else { return };
            let ended = graph.borrow().ended;
            match pace.next(through) {
                Next::Step(epoch) if ended == pace.last => {
                    pace.begin(epoch);
                    output.session(&cap.delayed(&epoch)).give_iterator(0..peers);
                    cap.downgrade(&(epoch + 1));
                }
                Next::Wait(epoch) => cap.downgrade(&epoch.max(*cap.time())),
                Next::Step(_) => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(changes: &[(u64, usize)]) -> Pace {
        let mut pace = Pace::new(10, 5, 0);
        changes.iter().for_each(|(epoch, changes)| pace.changed(*epoch, *changes));
        pace
    }

    #[test]
    fn steps_are_as_long_as_may_be() {
        assert_eq!(pace(&[]).next(9), Next::Wait(1));
        assert_eq!(pace(&[]).next(57), Next::Step(50));
        assert_eq!(pace(&[(3, 5)]).next(12), Next::Step(10));
        assert_eq!(pace(&[(3, 2), (14, 3)]).next(29), Next::Step(20));
        assert_eq!(pace(&[(3, 2), (14, 3), (38, 1), (41, 1)]).next(70), Next::Step(30));
        let mut after = pace(&[(3, 5), (13, 5)]);
        assert_eq!(after.next(25), Next::Step(10));
        after.begin(10);
        assert_eq!((after.next(25), after.due.len()), (Next::Step(20), 1));
        after.begin(20);
        assert_eq!(after.next(29), Next::Wait(21));
    }

    #[test]
    fn no_step_goes_back_behind_the_start() {
        let mut pace = Pace::new(10, 5, 75);
        [(0, 4), (75, 1), (76, 3), (83, 3)].into_iter().for_each(|(epoch, n)| pace.changed(epoch, n));
        assert_eq!((pace.next(80), pace.next(90)), (Next::Step(80), Next::Step(80)));
        assert_eq!(pace.next(79), Next::Wait(76));
    }

    #[test]
    fn a_burst_is_waited_for() {
        let load = pace(&[(3, 100), (13, 100), (203, 5)]);
        assert_eq!(load.next(15), Next::Wait(10));
        assert_eq!(load.next(25), Next::Wait(20));
        assert_eq!(load.next(109), Next::Wait(100));
        assert_eq!((load.next(119), load.next(120)), (Next::Wait(110), Next::Step(120)));
        assert_eq!(load.next(250), Next::Step(250));
        // Steady, but more than can be followed.
        let steady: Vec<_> = (0..100).map(|n| (10 * n + 1, 4)).collect();
        assert_eq!(pace(&steady).next(1_000), Next::Wait(1_000));
        assert_eq!(pace(&steady).next(500), Next::Step(10));
    }
}
