//! Where the playlists live: their changes become notes to the rows they touch.
//!
//! When a playlist gains a track, that track's row gains all others in it, and their rows gain the track: as
//! far as the playlist is in their samples. So it is with losses.

use std::rc::Rc;
use std::time::Instant;

use differential_dataflow::consolidation::consolidate;
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator as _;

use super::pending::Pending;
use super::stats::Operator;
use super::{Batches, Graph, SLICE};
use crate::ids::{PlaylistId, TrackId};
use crate::query::{Hub, LOCKED, Local};
use crate::sample;
use crate::settings::Neighbours;
use crate::views::Views;

/// Notes that one playlist may make for one row; to count the row anew costs as much as a few hundred.
const NOTES_MAX: usize = 256;

/// What a row's owner is told, at the time of the step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Note {
    /// The step begins at this worker.
    Begin { to: u64 },
    /// Too much has changed to tell: all rows of this worker are to be counted anew.
    All { to: u64 },
    /// The row is to be counted anew.
    Recount { track: TrackId },
    /// Other playlists hold the track than before.
    Held { track: TrackId },
    /// `diff` more of the row's sampled playlists hold `other`, which `holding` hold in all.
    Share { track: TrackId, other: TrackId, holding: u32, diff: i8 },
}

impl Note {
    /// The worker it is for, modulo their number.
    pub fn to(&self) -> u64 {
        match self {
            Note::Begin { to } | Note::All { to } => *to,
            Note::Recount { track } | Note::Held { track } | Note::Share { track, .. } => track.0,
        }
    }
}

type Change = ((PlaylistId, TrackId), i32);

/// Builds the operator; see [`super::pace`] for the steps.
pub fn delta<'s>(
    batches: Batches<'s>,
    steps: StreamVec<'s, u64, u64>,
    graph: &Local<Graph>,
    hub: &Local<Hub>,
) -> StreamVec<'s, u64, Note> {
    let scope = batches.scope();
    let (me, peers) = (scope.index() as u64, scope.peers() as u64);
    let (graph, hub) = (Rc::clone(graph), Rc::clone(hub));
    let to = Exchange::new(|to: &u64| *to);
    batches.binary_frontier(steps, Pipeline, to, "Delta", move |_cap, info| {
        let activator = scope.activator_for(info.address);
        let ((rules, share, stats), begin) = (graph.borrow().outfit(), graph.borrow().ended);
        let mut pending = Pending::new(rules.grid_ms, share);
        let (mut step, mut job) = (None::<Capability<u64>>, None::<Job>);
        move |(batches, complete), (steps, _), output| {
            batches.for_each(|_cap, spans| {
                for batch in spans.drain(..).filter_map(|span| span.inner) {
                    // What there was at the start, rows have already, or will when they are first counted.
                    if batch.updates() > share {
                        batch.epochs().filter(|epoch| *epoch > begin).for_each(|e| pending.overflow(e));
                    } else {
                        batch.scan(|playlist, track, at, diff| {
                            if at > begin {
                                pending.add(at, ((playlist, track), diff));
                            }
                        });
                    }
                }
            });
            steps.for_each(|cap, to| {
                to.clear();
                step = cap.retain_least(0);
            });
            let Some(cap) = step.as_ref().filter(|cap| !complete.less_equal(cap.time())) else { return };
            let begun = Instant::now();
            let mut session = output.session(cap);
            let at_work = job.get_or_insert_with(|| {
                hub.borrow_mut().refresh();
                session.give(Note::Begin { to: me });
                let changes = pending.take(*cap.time());
                let too_many = if changes.is_none() { 0..peers } else { 0..0 };
                session.give_iterator(too_many.map(|to| Note::All { to }));
                Job::new(*cap.time(), changes.unwrap_or_default())
            });
            let done = at_work.run(hub.borrow().views(), &rules, begun, |note| session.give(note));
            drop(session);
            if done {
                (step, job) = (None, None);
            } else {
                activator.activate();
            }
            stats.worked(Operator::Delta, begun.elapsed());
        }
    })
}

/// The changes of one step, on the way to notes.
struct Job {
    epoch: u64,
    /// By playlist, then by track.
    changes: Vec<Change>,
    next: usize,
    visit: Visit,
}

/// One playlist.
#[derive(Default)]
struct Visit {
    /// Those that came or went, then those that stayed.
    tracks: Vec<Held>,
    moved: usize,
    /// Those of them that have a row with this playlist in its sample.
    rows: Vec<Held>,
}

/// A track of a playlist.
#[derive(Clone, Copy)]
struct Held {
    track: TrackId,
    was: bool,
    is: bool,
    /// Playlists that hold it.
    holding: u32,
}

impl Job {
    fn new(epoch: u64, mut changes: Vec<Change>) -> Self {
        consolidate(&mut changes);
        Job { epoch, changes, next: 0, visit: Visit::default() }
    }

    /// Sends notes for as long as a slice of time lasts; true if all are sent.
    fn run(&mut self, views: &Views, rules: &Neighbours, begun: Instant, mut send: impl FnMut(Note)) -> bool {
        loop {
            while let Some(row) = self.visit.rows.pop() {
                self.visit.note(row, &mut send);
                if begun.elapsed() > SLICE {
                    return false;
                }
            }
            let Some(((playlist, _), _)) = self.changes.get(self.next) else { return true };
            let rest = &self.changes[self.next..];
            let some = &rest[..rest.partition_point(|((other, _), _)| other == playlist)];
            self.next += some.len();
            self.visit = Visit::new(*playlist, some, views, self.epoch, rules);
        }
    }
}

impl Visit {
    fn new(playlist: PlaylistId, changes: &[Change], views: &Views, epoch: u64, rules: &Neighbours) -> Self {
        let held = |track, was, is| Held { track, was, is, holding: 0 };
        let mut tracks: Vec<Held> =
            changes.iter().map(|((_, track), diff)| held(*track, *diff < 0, *diff > 0)).collect();
        let (moved, mut came) = (tracks.len(), changes.iter().map(|((_, track), _)| *track).peekable());
        views.by_playlist.pass().read(playlist, epoch, |track| {
            while came.next_if(|moved| *moved < track).is_some() {}
            if came.peek() != Some(&track) {
                tracks.push(held(track, true, true));
            }
        });
        for some in tracks.chunks_mut(LOCKED) {
            let popularity = views.popularity.read();
            some.iter_mut().for_each(|held| held.holding = popularity.of(held.track, epoch));
        }
        let has_row = |held: &&Held| {
            let last = sample::last(sample::level(held.holding, rules.sample));
            held.holding >= rules.min_support && playlist.0 <= last
        };
        let rows = tracks.iter().filter(has_row).copied().collect();
        Visit { tracks, moved, rows }
    }

    /// What the row of one of its tracks is to be told.
    fn note(&self, row: Held, send: &mut impl FnMut(Note)) {
        let track = row.track;
        let others = if row.was && row.is { &self.tracks[..self.moved] } else { &self.tracks[..] };
        if others.len() > NOTES_MAX {
            return send(Note::Recount { track });
        }
        for other in others {
            let diff = i8::from(row.is && other.is) - i8::from(row.was && other.was);
            // A track that one playlist holds shares no two; the row's own tells how large the sample is.
            if diff < 0 || diff > 0 && (other.holding > 1 || other.track == track) {
                send(Note::Share { track, other: other.track, holding: other.holding, diff });
            }
        }
    }
}
