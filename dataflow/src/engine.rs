//! The dataflow of one worker, built from end to end, and one typed handle to it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::Span;
use parking_lot::RwLock;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::core::{Concatenate, Probe};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::{ProbeHandle, Stream, StreamVec};
use timely::order::Product;
use timely::worker::Worker;

use crate::apply::apply;
use crate::catalogue::{Catalogued, catalogue, popularity};
use crate::edit::Edit;
use crate::ids::{ArtistId, PlaylistId, TitleId, TrackId};
use crate::neighbours::{Graph, GraphStep, Place, neighbours};
use crate::query::{Answer, Board, Desk, Hub, Local, Query, Round, rounds};
use crate::settings::Settings;
use crate::views::batch::{Batch, Batcher};
use crate::views::beginning::Beginning;
use crate::views::trace::{Keys, Trace};
use crate::views::{Books, Live, Views};

/// Told of an event (its position on the log) that names an id another string has already, and why.
pub type Refused = Rc<dyn Fn(u64, String)>;

type Input<D> = timely::dataflow::InputHandle<u64, CapacityContainerBuilder<Vec<D>>>;

/// The way into the dataflow of one worker, and the way out.
pub struct Dataflow {
    edits: Input<Edit>,
    /// None if readers on other threads answer.
    queries: Option<Input<Query>>,
    probe: ProbeHandle<u64>,
    /// Of rounds of queries; none are on their way if there are none.
    asking: ProbeHandle<Round>,
    desk: Local<Desk>,
    hub: Local<Hub>,
    /// None if there is none.
    graph: Option<Local<Graph>>,
}

impl Dataflow {
    /// Builds the dataflow. All workers must build the same, in the same order. `board` is that of this
    /// process, which has `local` of the workers, and may have a state to go on from. With `asked` there are
    /// rounds for queries: without any, an epoch costs a third less.
    pub fn new(
        worker: &mut Worker,
        local: usize,
        settings: Settings,
        refused: &Refused,
        board: &Arc<Board>,
        asked: bool,
    ) -> Self {
        let (index, home, peers) = (worker.index() % local, worker.index() as u64, worker.peers() as u64);
        let (mut edits, probe, asking) = (Input::new(), ProbeHandle::new(), ProbeHandle::new());
        let mut queries = asked.then(Input::new);
        let desk = Rc::new(RefCell::new(Desk::new(home, peers, settings, Arc::clone(board))));
        let mut share = board.share(worker.index());
        let (hub, graph) = worker.dataflow::<u64, _, _>(|scope| {
            let begun = share.by_track.take();
            let mut cards = std::mem::take(&mut share.cards);
            if settings.neighbours.keep > 0 {
                cards.hold_steps();
            }
            let cards = Arc::new(RwLock::new(cards));
            let trending = Arc::new(RwLock::new(std::mem::take(&mut share.trending)));
            let rows = Arc::new(RwLock::new(std::mem::take(&mut share.rows)));
            let kept = settings.trending.keep_days;
            let applied = apply(edits.to_stream(scope), Rc::clone(refused), share, kept);
            let Catalogued { counts, artists } =
                catalogue(applied.notes, Rc::clone(refused), &cards, &trending);
            let (batches, own_counts) = (applied.by_playlist.stream.clone(), counts.clone());
            let (counts_here, firsts) = (Arc::clone(&board.popularity), (0..peers).step_by(local).collect());
            let counted = popularity(counts, applied.counts, Arc::clone(&counts_here), firsts);

            // No exchange: each worker keeps the part of every posting list that its own playlists make, so
            // no hot track sits on one worker, and all about a playlist is answered where it lives.
            let entries = by_track(applied.by_playlist.stream, begun.is_some());
            let by_track = arrange_core::<_, _, Beginning<TrackId, PlaylistId>, _>(
                entries,
                Pipeline,
                "ByTrack",
                |logger, id| Beginning::new(begun, Batcher::new(logger, id)),
            );
            let by_title = arrange_core::<_, _, Batcher<TitleId, PlaylistId>, _>(
                applied.titles,
                Pipeline,
                "ByTitle",
                Batcher::new,
            );
            let by_artist = arrange_core::<_, _, Batcher<ArtistId, TrackId>, _>(
                artists,
                Pipeline,
                "ByArtist",
                Batcher::new,
            );
            let arranged = [frontier(by_track.stream), frontier(by_title.stream), frontier(by_artist.stream)];
            let complete = scope.concatenate(arranged.into_iter().chain([counted]));
            let live = Live {
                by_playlist: Trace::new(applied.by_playlist.trace, Keys::of(home, peers)),
                by_track: Trace::new(by_track.trace, Keys::ALL),
                by_title: Trace::new(by_title.trace, Keys::ALL),
                by_artist: Trace::new(by_artist.trace, Keys::ALL),
                popularity: counts_here,
                books: Books {
                    playlists: applied.playlists,
                    cards,
                    days: applied.days,
                    trending,
                    totals: applied.totals,
                    rows: Arc::clone(&rows),
                },
                graph: 0,
            };
            let hub = Rc::new(RefCell::new(Hub::new(live, Arc::clone(board), index)));
            if let Some(queries) = &mut queries {
                rounds(queries.to_stream(scope), &complete, &hub, &desk, &asking);
            }
            let rules = settings.neighbours;
            let graph = (rules.keep > 0).then(|| {
                let stats = Arc::clone(&board.graph);
                let place = Place { worker: home, workers: peers, local: local as u64 };
                let graph = Graph::new(rules, board.begin(), place, rows, stats);
                let graph = Rc::new(RefCell::new(graph));
                neighbours(&batches, own_counts, complete.clone(), &graph, &hub);
                graph
            });
            complete.probe_with(&probe);
            (hub, graph)
        });
        Dataflow { edits, queries, probe, asking, desk, hub, graph }
    }

    /// The epoch that is open: what is fed now belongs to it.
    pub fn open(&self) -> u64 {
        *self.edits.time()
    }

    /// Feeds an edit into the open epoch.
    pub fn feed(&mut self, edit: Edit) {
        self.edits.send(edit);
    }

    /// Asks as-of the open epoch, which includes all that is fed into it anywhere before it is closed. False if
    /// this dataflow was not made to be asked.
    pub fn ask(&mut self, query: Query) -> bool {
        self.queries.as_mut().map(|queries| queries.send(query)).is_some()
    }

    /// Closes the open epoch and opens `epoch`, which must be later.
    pub fn advance(&mut self, epoch: u64) {
        self.edits.advance_to(epoch);
        self.queries.iter_mut().for_each(|queries| queries.advance_to(epoch));
    }

    /// Whether everything through `epoch` is in the views of all workers, and answered.
    pub fn is_complete(&self, epoch: u64) -> bool {
        !self.probe.less_equal(&epoch) && !self.asking.less_equal(&Product::new(epoch, u32::MAX))
    }

    /// The oldest answer not yet taken, with the id of its query.
    pub fn take_answer(&mut self) -> Option<(u64, Answer)> {
        self.desk.borrow_mut().done.pop_front()
    }

    /// Shows the views to readers on other threads, once everything through `epoch` is complete: see
    /// [`Board::show`].
    pub fn show(&mut self, epoch: u64, tell: impl FnOnce(u64, Vec<u64>)) {
        self.hub.borrow_mut().show(epoch, tell);
    }

    /// Shows the steps of the graph that have ended through `epoch`, which must have been [shown](Self::show):
    /// see [`Board::step`].
    pub fn show_graph(&mut self, epoch: u64, mut tell: impl FnMut(GraphStep)) {
        let Some(graph) = &self.graph else { return };
        while let Some((step, changed)) = graph.borrow_mut().take_step(epoch) {
            self.hub.borrow_mut().step(step, changed, &mut tell);
        }
    }

    /// How soon an epoch is wanted so that the graph has what was fed through `epoch`; none if it has, or if
    /// there is no graph.
    pub fn graph_wants(&self, epoch: u64) -> Option<Duration> {
        self.graph.as_ref()?.borrow().wants(epoch)
    }

    /// Looks at the views, for tests and measurements.
    pub fn with_views<T>(&self, look: impl FnOnce(&Views) -> T) -> T {
        look(self.hub.borrow().views())
    }
}

/// Entries the other way round. If it has `begun` with some, they are turned already, and the first span is of
/// them: a change of nothing tells that there is something at its time.
fn by_track<'s>(
    spans: StreamVec<'s, u64, Span<u64, Batch<PlaylistId, TrackId>>>,
    mut begun: bool,
) -> StreamVec<'s, u64, ((TrackId, PlaylistId), u64, i32)> {
    spans.unary::<CapacityContainerBuilder<Vec<_>>, _, _, _>(Pipeline, "Turn", |_cap, _info| {
        move |input, output| {
            input.for_each(|cap, spans| {
                let mut session = output.session(&cap);
                for batch in spans.drain(..).filter_map(|span| span.inner) {
                    if std::mem::take(&mut begun) {
                        session.give(((TrackId(0), PlaylistId(0)), 0, 0));
                    } else {
                        batch.scan(|playlist, track, time, diff| {
                            session.give(((track, playlist), time, diff));
                        });
                    }
                }
            });
        }
    })
}

/// Passes nothing on but the frontier.
fn frontier<'s, D: Clone + 'static>(stream: Stream<'s, u64, Vec<D>>) -> StreamVec<'s, u64, ()> {
    stream.unary::<CapacityContainerBuilder<_>, _, _, _>(Pipeline, "Frontier", |_cap, _info| {
        move |input, _output| input.for_each(|_cap, data| data.clear())
    })
}
