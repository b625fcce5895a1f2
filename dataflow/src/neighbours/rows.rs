//! Where the rows live: each takes its notes, and asks all workers for what it cannot know.
//!
//! A step's notes are taken row by row, in slices, and so many questions are under way at a time. The step
//! has ended here when [`super::settle`] has all answers; nothing begins before it has ended everywhere.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator as _;

use super::count::{Ask, Wanted};
use super::delta::Note;
use super::pending::Pending;
use super::row::Need;
use super::stats::{self, Operator};
use super::step::Changed;
use super::{Graph, SLICE};
use crate::apply::Count;
use crate::ids::TrackId;
use crate::query::{Hub, Local};
use crate::sample;
use crate::views::Views;
use crate::views::popularity::Popularity;

/// Questions under way at a time: what is asked for waits in memory.
const OPEN_MAX: usize = 2048;

/// A step at work.
struct Step {
    cap: Capability<u64>,
    /// By row.
    notes: Vec<Note>,
    next: usize,
    asks: VecDeque<Wanted>,
}

/// Builds the operator. `counts` are changes of how many playlists hold this worker's tracks. It gives what is
/// asked, or rows that have changed.
pub fn rows<'s>(
    notes: StreamVec<'s, u64, Note>,
    counts: StreamVec<'s, u64, Count>,
    graph: &Local<Graph>,
    hub: &Local<Hub>,
) -> StreamVec<'s, u64, Result<Ask, Vec<Changed>>> {
    let scope = notes.scope();
    let (me, peers) = (scope.index() as u64, scope.peers() as u64);
    let (graph, hub) = (Rc::clone(graph), Rc::clone(hub));
    let to = Exchange::new(Note::to);
    notes.binary_frontier(counts, to, Pipeline, "Rows", move |_cap, info| {
        let activator = scope.activator_for(Rc::clone(&info.address));
        graph.borrow_mut().wake_rows = Some(scope.activator_for(info.address));
        let (rules, share, stats) = graph.borrow().outfit();
        let mut held = Pending::new(rules.grid_ms, share);
        let mut waiting: Option<(Capability<u64>, Vec<Note>)> = None;
        let (mut step, mut is_first) = (None::<Step>, true);
        move |(notes, noted), (counts, counted), output| {
            counts.for_each(|cap, data| {
                let tracks = data.drain(..).filter_map(|count| match count {
                    Count::Track(track, _) => Some(track),
                    Count::Playlists(_) | Count::Title(..) | Count::Titled(_) => None,
                });
                if let Some(epoch) = cap.least() {
                    tracks.for_each(|track| held.add(*epoch, track));
                }
            });
            notes.for_each(|cap, data| {
                if let Some(cap) = cap.retain_least(0) {
                    waiting.get_or_insert_with(|| (cap, Vec::new())).1.append(data);
                }
            });
            let complete = |epoch: &u64| !noted.less_equal(epoch) && !counted.less_equal(epoch);
            let (begun, mut graph) = (Instant::now(), graph.borrow_mut());
            if let Some((cap, notes)) = waiting.take_if(|(cap, _)| complete(cap.time())) {
                hub.borrow_mut().refresh();
                let held = held.take(*cap.time());
                // So that it has an end, whether or not rows change.
                output.session(&cap).give(Err(Vec::new()));
                let is_first = std::mem::take(&mut is_first);
                step = Some(Step::new(cap, notes, (held, is_first), &graph, hub.borrow().views()));
            }
            let Some(at_work) = &mut step else { return };
            let changed = at_work.run(&mut graph, hub.borrow().views(), begun);
            let mut session = output.session(&at_work.cap);
            if !changed.is_empty() {
                session.give(Err(changed));
            }
            while graph.open.weight() < OPEN_MAX
                && let Some(wanted) = at_work.asks.pop_front()
            {
                graph.open.ask(wanted, peers);
                session.give_iterator((0..peers).map(|to| Ok(Ask { to, home: me, wanted })));
            }
            drop(session);
            if at_work.next == at_work.notes.len() && at_work.asks.is_empty() {
                step = None;
            } else if graph.open.weight() < OPEN_MAX {
                activator.activate();
            } // else the answers wake it
            stats.worked(Operator::Rows, begun.elapsed());
        }
    })
}

impl Step {
    /// From the notes, and the tracks that other playlists hold than before: none if that may be any. The first
    /// step counts all rows that are to be there and are not.
    fn new(
        cap: Capability<u64>,
        mut notes: Vec<Note>,
        (held, is_first): (Option<Vec<TrackId>>, bool),
        graph: &Graph,
        views: &Views,
    ) -> Self {
        let all = held.is_none() || notes.iter().any(|note| matches!(note, Note::All { .. }));
        if all {
            notes = graph.rows.read().iter().map(|(track, _)| Note::Held { track: *track }).collect();
        } else {
            notes.retain(|note| note.key().0.is_some());
            notes.extend(held.into_iter().flatten().map(|track| Note::Held { track }));
        }
        if all || is_first {
            let popular = Popularity::held_by(&views.popularity, graph.rules.min_support, *cap.time());
            let (rows, own) = (graph.rows.read(), popular.into_iter().filter(|track| graph.owns(*track)));
            let wanted = own.filter(|track| all || rows.newest(track).is_none());
            notes.extend(wanted.map(|track| Note::Recount { track }));
        }
        notes.sort_unstable_by_key(Note::key);
        let recount = |note: &Note| matches!(note, Note::Recount { .. });
        notes.dedup_by(|note, before| recount(note) && note == before);
        stats::add(&graph.stats.dirty, notes.iter().filter(|note| recount(note)).count());
        Step { cap, notes, next: 0, asks: VecDeque::new() }
    }

    /// Takes notes for as long as a slice of time lasts; gives the rows that have changed.
    fn run(&mut self, graph: &mut Graph, views: &Views, begun: Instant) -> Vec<Changed> {
        let mut changed = Vec::new();
        while self.next < self.notes.len() && self.asks.len() < OPEN_MAX && begun.elapsed() < SLICE {
            let rest = &self.notes[self.next..];
            let row = rest[0].key().0;
            let about = &rest[..rest.iter().take_while(|note| note.key().0 == row).count()];
            self.next += about.len();
            if let Some(track) = row {
                let epoch = *self.cap.time();
                changed.extend(graph.take(epoch, track, about, views, |wanted| self.asks.push_back(wanted)));
            }
        }
        changed
    }
}

impl Graph {
    /// Takes a row's notes; asks for what it needs then. Gives the row if it has changed.
    fn take(
        &mut self,
        epoch: u64,
        track: TrackId,
        notes: &[Note],
        views: &Views,
        mut ask: impl FnMut(Wanted),
    ) -> Option<Changed> {
        let recount = notes.contains(&Note::Recount { track });
        let level = self.rows.read().newest(&track).map(|row| row.level());
        // Else it has a row as before, and the same sample but for what the notes say.
        if level.is_none() || notes.iter().any(|note| !matches!(note, Note::Share { .. })) {
            let holding = views.popularity.read().of(track, epoch);
            if holding < self.rules.min_support {
                stats::sub(&self.stats.dirty, usize::from(recount));
                return self.set(epoch, track, None);
            }
            let now = sample::level(holding, self.rules.sample) as u8;
            if recount || level != Some(now) {
                stats::add(&self.stats.dirty, usize::from(!recount));
                ask(Wanted::Row { track, level: now });
                return None;
            }
        }
        stats::add(&self.stats.notes, notes.len());
        let (changed, need) = self.change(epoch, track, |row| {
            let shares = notes.iter().filter_map(|note| match note {
                Note::Share { other, holding, diff, .. } => Some((*other, *holding, i32::from(*diff))),
                _ => None,
            });
            for (other, holding, diff) in net(shares) {
                if other == track { row.sample(diff) } else { row.share(other, holding, diff) }
            }
            row.need()
        })?;
        let level = level.unwrap_or(0);
        match need {
            Need::Recount => {
                stats::add(&self.stats.dirty, 1);
                ask(Wanted::Row { track, level });
            }
            Need::Counts(others) => {
                others.into_iter().for_each(|other| ask(Wanted::Shared { track, other, level }));
            }
        }
        changed
    }
}

/// The sum of the diffs of each track, which follow one another.
fn net(shares: impl Iterator<Item = (TrackId, u32, i32)>) -> impl Iterator<Item = (TrackId, u32, i32)> {
    let mut shares = shares.peekable();
    std::iter::from_fn(move || {
        let (other, holding, mut diff) = shares.next()?;
        while let Some((_, _, more)) = shares.next_if(|next| next.0 == other) {
            diff += more;
        }
        Some((other, holding, diff))
    })
    .filter(|(_, _, diff)| *diff != 0)
}
