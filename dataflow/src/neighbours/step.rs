//! What came of a step: the rows that have changed, and when it has ended on all workers.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::{Graph, Row};
use crate::ids::TrackId;
use crate::query::Local;

/// A row that has changed, and whose neighbours or sample are others now.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Whose row.
    pub track: TrackId,
    /// As it was; none if there was none.
    pub old: Option<Arc<Row>>,
    /// As it is; none if there is none any more.
    pub new: Option<Arc<Row>>,
}

/// A step of the graph: all rows are exact as-of its epoch now.
#[derive(Clone, Debug)]
pub struct GraphStep {
    /// The epoch, a multiple of `neighbours.grid_ms`.
    pub epoch: u64,
    /// The rows of this process that have changed since the step before, each once.
    pub rows: Vec<Changed>,
}

impl GraphStep {
    /// Takes in what a worker changed, in its order.
    pub(crate) fn add(&mut self, changed: Vec<Changed>) {
        let mut rows: FxHashMap<TrackId, Changed> = FxHashMap::default();
        for row in changed {
            rows.entry(row.track).and_modify(|before| before.new.clone_from(&row.new)).or_insert(row);
        }
        self.rows.extend(rows.into_values());
    }
}

/// Builds the operator that notes steps which have ended, for [`Graph::take_step`].
pub fn end<'s>(changes: StreamVec<'s, u64, Vec<Changed>>, graph: &Local<Graph>) {
    let graph = Rc::clone(graph);
    let mut steps: BTreeMap<u64, Vec<Changed>> = BTreeMap::new();
    changes.sink(Pipeline, "Step", move |(input, frontier)| {
        input.for_each(|cap, changed| {
            if let Some(epoch) = cap.least() {
                steps.entry(*epoch).or_default().extend(changed.drain(..).flatten());
            }
        });
        while let Some(step) = steps.first_entry().filter(|step| !frontier.less_equal(step.key())) {
            let (epoch, changed) = step.remove_entry();
            graph.borrow_mut().end(epoch, changed);
        }
    });
}
