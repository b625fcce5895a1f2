//! Where the rows live: each takes its notes, and asks all processes for what it cannot know.
//!
//! A step's notes are put to their rows as they come, and taken row by row, in slices: a playlist of thousands of
//! tracks makes millions. So many questions are under way at a time. The step has ended here when
//! [`super::settle`] has all answers; nothing begins before it has ended everywhere.

use std::collections::{VecDeque, hash_map};
use std::rc::Rc;
use std::time::Instant;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
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
use crate::fetch::{AT_ONCE, fetch};
use crate::ids::TrackId;
use crate::query::{Hub, Local};
use crate::sample;
use crate::views::Views;
use crate::views::popularity::Popularity;

/// Questions under way at a time: what is asked for waits in memory.
const OPEN_MAX: usize = 2048;

/// Shares that a row is told in one step, at the most: to count it anew costs as much, and takes no memory.
const SHARES_MAX: usize = 2_048;

/// The notes of a step, by row.
#[derive(Default)]
struct Notes {
    rows: FxHashMap<TrackId, Told>,
    /// Those that are to be counted anew.
    dirty: usize,
    /// Whether all are.
    all: bool,
}

/// What one row is told.
#[derive(Default)]
struct Told {
    recount: bool,
    held: bool,
    /// Others, how many playlists hold each, and how many more of the sample do.
    shares: SmallVec<[(TrackId, u32, i8); 3]>,
}

/// A step at work.
struct Step {
    cap: Capability<u64>,
    rows: hash_map::IntoIter<TrackId, Told>,
    /// Those that are next, and near.
    fetched: smallvec::IntoIter<[(TrackId, Told); AT_ONCE]>,
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
    let place = graph.borrow().place;
    let (graph, hub) = (Rc::clone(graph), Rc::clone(hub));
    let to = Exchange::new(Note::to);
    notes.binary_frontier(counts, to, Pipeline, "Rows", move |_cap, info| {
        let activator = scope.activator_for(Rc::clone(&info.address));
        graph.borrow_mut().wake_rows = Some(scope.activator_for(info.address));
        let (rules, share, stats) = graph.borrow().outfit();
        let mut held = Pending::new(rules.grid_ms, share);
        let mut waiting: Option<(Capability<u64>, Notes)> = None;
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
                    let (_, notes) = waiting.get_or_insert_with(|| (cap, Notes::default()));
                    data.drain(..).for_each(|note| notes.add(note));
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
                graph.open.ask(wanted, place.processes());
                session.give_iterator(place.counters().map(|to| Ok(Ask { to, home: place.worker, wanted })));
            }
            drop(session);
            if at_work.is_done() {
                step = None;
            } else if graph.open.weight() < OPEN_MAX {
                activator.activate();
            } // else the answers wake it
            stats.worked(Operator::Rows, begun.elapsed());
        }
    })
}

impl Notes {
    fn recount(&mut self, track: TrackId) {
        let told = self.rows.entry(track).or_default();
        self.dirty += usize::from(!told.recount);
        (told.recount, told.shares) = (true, SmallVec::new());
    }

    fn add(&mut self, note: Note) {
        match note {
            Note::Begin { .. } => {}
            Note::All { .. } => self.all = true,
            Note::Recount { track } => self.recount(track),
            Note::Held { track } => self.rows.entry(track).or_default().held = true,
            Note::Share { track, other, holding, diff } => {
                let told = self.rows.entry(track).or_default();
                match told.recount || told.shares.len() == SHARES_MAX {
                    true => self.recount(track),
                    false => told.shares.push((other, holding, diff)),
                }
            }
        }
    }
}

impl Step {
    /// From the notes, and the tracks that other playlists hold than before: none if that may be any. The first
    /// step counts all rows that are to be there and are not.
    fn new(
        cap: Capability<u64>,
        mut notes: Notes,
        (held, is_first): (Option<Vec<TrackId>>, bool),
        graph: &Graph,
        views: &Views,
    ) -> Self {
        let (all, rows) = (notes.all || held.is_none(), graph.rows.read());
        if all {
            notes = Notes::default();
            rows.iter().for_each(|(track, _)| notes.add(Note::Held { track: *track }));
        }
        held.into_iter().flatten().for_each(|track| notes.add(Note::Held { track }));
        if all || is_first {
            let popular = Popularity::held_by(&views.popularity, graph.rules.min_support, *cap.time());
            let own = popular.into_iter().filter(|track| graph.owns(*track));
            let wanted = own.filter(|track| all || rows.newest(track).is_none());
            wanted.for_each(|track| notes.add(Note::Recount { track }));
        }
        drop(rows);
        stats::add(&graph.stats.dirty, notes.dirty);
        Step {
            cap,
            rows: notes.rows.into_iter(),
            fetched: SmallVec::new().into_iter(),
            asks: VecDeque::new(),
        }
    }

    /// Takes notes for as long as a slice of time lasts; gives the rows that have changed.
    fn run(&mut self, graph: &mut Graph, views: &Views, begun: Instant) -> Vec<Changed> {
        let (mut changed, epoch) = (Vec::new(), *self.cap.time());
        while self.asks.len() < OPEN_MAX
            && begun.elapsed() < SLICE
            && let Some((track, told)) = self.next(graph)
        {
            changed.extend(graph.take(epoch, track, told, views, |wanted| self.asks.push_back(wanted)));
        }
        changed
    }

    fn next(&mut self, graph: &Graph) -> Option<(TrackId, Told)> {
        if self.fetched.len() == 0 {
            let next: SmallVec<[_; AT_ONCE]> = self.rows.by_ref().take(AT_ONCE).collect();
            graph.fetch(next.iter().map(|(track, _)| track));
            self.fetched = next.into_iter();
        }
        self.fetched.next()
    }

    fn is_done(&self) -> bool {
        self.rows.len() == 0 && self.fetched.len() == 0 && self.asks.is_empty()
    }
}

impl Graph {
    /// Gets these rows from memory.
    fn fetch<'a>(&self, tracks: impl Iterator<Item = &'a TrackId>) {
        let rows = self.rows.read();
        let there: SmallVec<[_; AT_ONCE]> = tracks.filter_map(|track| rows.newest(track)).collect();
        fetch(there.iter().map(|row| row.marks()));
    }

    /// Takes a row's notes; asks for what it needs then. Gives the row if it has changed.
    fn take(
        &mut self,
        epoch: u64,
        track: TrackId,
        Told { recount, held, mut shares }: Told,
        views: &Views,
        mut ask: impl FnMut(Wanted),
    ) -> Option<Changed> {
        let level = self.rows.read().newest(&track).map(|row| row.level());
        // Else it has a row as before, and the same sample but for what the notes say.
        if level.is_none() || recount || held {
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
        stats::add(&self.stats.notes, shares.len());
        shares.sort_unstable_by_key(|(other, ..)| *other);
        let shares = shares.into_iter().map(|(other, holding, diff)| (other, holding, i32::from(diff)));
        let (changed, need) = self.change(epoch, track, |row| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_told_no_more_than_counting_it_costs() {
        let (mut notes, track) = (Notes::default(), TrackId(1));
        let share = |n: u64| Note::Share { track, other: TrackId(n), holding: 2, diff: 1 };
        (0..SHARES_MAX as u64).for_each(|n| notes.add(share(n)));
        assert_eq!((notes.dirty, notes.rows[&track].shares.len()), (0, SHARES_MAX));
        (0..1_000).for_each(|n| notes.add(share(n)));
        notes.add(Note::Recount { track });
        let told = &notes.rows[&track];
        assert_eq!(
            (notes.dirty, told.recount, told.shares.len(), told.shares.spilled()),
            (1, true, 0, false)
        );
    }
}
