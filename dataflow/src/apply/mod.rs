//! `apply`: edits become changes of the state, each playlist's in log order.
//!
//! The operator builds and owns the arrangement by_playlist, so what it reads is complete up to the
//! frontier it has processed: no feedback, and an event that arrives twice changes nothing. Per epoch only
//! the net difference of a playlist becomes a change; tracks are told every edit, in order, because inline
//! names live and die with entries.

mod draft;
mod step;
mod titles;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::logging::DifferentialEventBuilder;
use differential_dataflow::operators::arrange::{Arranged, TraceAgent};
use differential_dataflow::trace::{Builder, Description, ExertionLogic, Span, Trace as _};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::{Antichain, Stamp};

pub use draft::{Draft, Playlist, Said};
use step::Step;
use titles::Titles;

use crate::catalogue::Note;
use crate::day::{Day, Days, Newest};
use crate::digest::Digest;
use crate::edit::Edit;
use crate::engine::Refused;
use crate::ids::{PlaylistId, TitleId, TrackId};
use crate::snapshot::Share;
use crate::views::Shared;
use crate::views::ageing::Ageing;
use crate::views::batch::{self, Batch};
use crate::views::book::Book;
use crate::views::trace::{Keys, Spine, Trace};

/// What a worker's playlists add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Playlists there are, empty ones included.
    pub playlists: u64,
    /// Entries in them.
    pub entries: u64,
    /// Of those entries.
    pub digest: Digest,
    /// When events last added something.
    pub newest: Newest,
}

impl Totals {
    /// Adds those of other playlists.
    pub fn add(&mut self, others: &Totals) {
        self.playlists += others.playlists;
        self.entries += others.entries;
        self.digest += others.digest;
        self.newest.merge(&others.newest);
    }
}

/// A change of one of the counts that every worker has.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Count {
    /// So many more playlists hold the track.
    Track(TrackId, i32),
    /// So many more playlists are there.
    Playlists(i32),
    /// So many more playlists have this title, or this word in theirs.
    Title(TitleId, i32),
    /// So many more playlists have a title.
    Titled(i32),
}

/// What comes out of `apply`.
pub struct Applied<'s> {
    /// Playlist → track.
    pub by_playlist: Arranged<'s, TraceAgent<Spine<PlaylistId, TrackId>>>,
    /// (Title or word, playlist) changes, of this worker's playlists.
    pub titles: StreamVec<'s, u64, ((TitleId, PlaylistId), u64, i32)>,
    /// What the edits mean to the tracks, on the way to their owners.
    pub notes: StreamVec<'s, u64, Note>,
    /// Changes of the number of playlists.
    pub counts: StreamVec<'s, u64, Count>,
    /// Playlist → URI, title, entries.
    pub playlists: Shared<Book<PlaylistId, Playlist>>,
    /// Playlist → the days of its tracks, in their order; none where none is kept.
    pub days: Shared<Book<PlaylistId, Days>>,
    /// Sums over this worker's playlists.
    pub totals: Shared<Book<(), Totals>>,
}

type Out<D> = OutputBuilder<u64, CapacityContainerBuilder<Vec<D>>>;

/// Edits of one epoch, and the right to say something about it on each output.
struct Waiting {
    caps: [Capability<u64>; 4],
    edits: Vec<Edit>,
}

/// Builds the operator. It goes on from `share`, and remembers when entries were added for `keep_days` days.
/// `refused` hears of edits that name a taken id.
pub(crate) fn apply<'s>(
    edits: StreamVec<'s, u64, Edit>,
    refused: Refused,
    share: Share,
    keep_days: u16,
) -> Applied<'s> {
    let scope = edits.scope();
    let peers = scope.peers() as u64;
    let mut builder = OperatorBuilder::new("Apply".to_owned(), scope);
    let mut input = builder.new_input(edits, Exchange::new(Edit::owner));
    let (output, batches) = builder.new_output();
    let mut batches_out: Out<Span<u64, _>> = OutputBuilder::from(output);
    let (output, notes) = builder.new_output();
    let mut notes_out: Out<Note> = OutputBuilder::from(output);
    let (output, titles) = builder.new_output();
    let mut titles_out: Out<((TitleId, PlaylistId), u64, i32)> = OutputBuilder::from(output);
    let (output, counts) = builder.new_output();
    let mut counts_out: Out<Count> = OutputBuilder::from(output);

    let info = builder.operator_info();
    let logger =
        scope.worker().logger_for::<DifferentialEventBuilder>("differential/arrange").map(Into::into);
    let activator = scope.activator_for(Rc::clone(&info.address));
    let mut spine = Spine::new(info.clone(), logger.clone(), Some(activator));
    if let Some(logic) = scope.worker().config().get::<ExertionLogic>("differential/default_exert_logic") {
        spine.set_exert_logic(logic.clone());
    }
    let (trace, mut writer) = TraceAgent::new(spine, info, logger);
    let mut own = Some(Trace::new(trace.clone(), Keys::ALL));
    let playlists = Arc::new(RwLock::new(share.playlists));
    let days = Arc::new(RwLock::new(share.days));
    let totals = <Shared<Book<_, _>>>::default();
    let (own_playlists, own_days, own_totals) =
        (Arc::clone(&playlists), Arc::clone(&days), Arc::clone(&totals));

    builder.build(move |initial| {
        let mut begun = Some((initial, share.by_playlist, share.totals));
        let mut waiting: BTreeMap<u64, Waiting> = BTreeMap::new();
        let mut lower = Antichain::from_elem(0);
        let mut ageing = Ageing::default();
        move |frontiers| {
            // What there was before all epochs.
            if let Some((at, batch, totals)) = begun.take() {
                own_totals.write().set(0, (), Some(totals));
                let mut titles = Titles::default();
                own_playlists.read().iter().for_each(|(id, p)| titles.change(*id, 0, p.title.as_deref(), 1));
                counts_out.activate().session(&at[3]).give_iterator(titles.counts());
                titles_out.activate().session(&at[2]).give_iterator(titles.changes.into_iter());
                if batch.is_some() {
                    let upper = Antichain::from_elem(1);
                    let desc = Description::new(lower.clone(), upper.clone(), Antichain::from_elem(0));
                    let span = Span::new(desc, batch);
                    writer.insert(span.clone(), Stamp::from_elem(0));
                    batches_out.activate().session(&at[0]).give(span);
                    lower = upper;
                }
            }
            input.for_each(|cap, data| {
                let caps = [0, 1, 2, 3].map(|port| cap.retain_least(port));
                if let [Some(a), Some(b), Some(c), Some(d)] = caps {
                    let epoch = *a.time();
                    let entry = waiting.entry(epoch);
                    entry
                        .or_insert_with(|| Waiting { caps: [a, b, c, d], edits: Vec::new() })
                        .edits
                        .append(data);
                }
            });
            let upper = frontiers[0].frontier().to_owned();
            if lower != upper {
                let newest = own_totals.read().newest(&()).map(|totals| totals.newest).unwrap_or_default();
                let mut step = Step {
                    peers,
                    playlists: &own_playlists,
                    days: &own_days,
                    newest,
                    keep_days,
                    refused: &refused,
                    builder: batch::Builder::default(),
                    changed: BTreeMap::new(),
                    cards: Vec::new(),
                    dated: Vec::new(),
                };
                let (mut caps, mut ready) = (BTreeMap::new(), Vec::new());
                while let Some(entry) = waiting.first_entry().filter(|e| !upper.less_equal(e.key())) {
                    let (epoch, Waiting { caps: held, edits }) = entry.remove_entry();
                    caps.insert(epoch, held);
                    ready.extend(edits.into_iter().map(|edit| (epoch, edit)));
                }
                if let Some(own) = own.as_mut() {
                    own.refresh();
                    step.run(own.view(), ready);
                }
                let batch = step.builder.done();
                {
                    let mut playlists = own_playlists.write();
                    step.cards.sort_by_key(|(epoch, ..)| *epoch);
                    step.cards.into_iter().for_each(|(epoch, id, card)| playlists.set(epoch, id, card));
                    let mut days = own_days.write();
                    step.dated.sort_by_key(|(epoch, ..)| *epoch);
                    step.dated.into_iter().for_each(|(epoch, id, dated)| days.set(epoch, id, dated));
                    // Where nothing is edited days grow old as well.
                    if let Some(epoch) = caps.keys().next_back() {
                        forget_old(&mut days, *epoch, &mut ageing, newest.first_of(keep_days));
                    }
                }
                match (batch, caps.values().next()) {
                    (Some(batch), Some([cap, ..])) => {
                        let desc = Description::new(lower.clone(), upper.clone(), Antichain::from_elem(0));
                        let span = Span::new(desc, Some(Batch::from(batch)));
                        writer.insert(span.clone(), Stamp::from_elem(*cap.time()));
                        batches_out.activate().session(cap).give(span);
                    }
                    _ => writer.seal(upper.clone()), // time passed, nothing changed
                }
                let mut totals = own_totals.write();
                for (epoch, changed) in step.changed {
                    let Some([_, notes, titles, counts]) = caps.get(&epoch) else { continue };
                    let before = totals.newest(&()).copied().unwrap_or_default();
                    let now = changed.added_to(before);
                    totals.set(epoch, (), Some(now));
                    let dated = Note::dated(changed.dated, now.newest.first_of(keep_days), peers);
                    notes_out.activate().session(notes).give_iterator(dated);
                    notes_out.activate().session(notes).give_iterator(changed.notes.into_iter());
                    let playlists =
                        Some(Count::Playlists(changed.playlists)).filter(|_| changed.playlists != 0);
                    let all = playlists.into_iter().chain(changed.titles.counts());
                    counts_out.activate().session(counts).give_iterator(all);
                    titles_out.activate().session(titles).give_iterator(changed.titles.changes.into_iter());
                }
                match upper.as_option() {
                    Some(since) => own.iter_mut().for_each(|own| own.hold(*since)),
                    None => own = None,
                }
                lower = upper;
            }
            writer.exert();
        }
    });
    let by_playlist = Arranged { stream: batches, trace };
    Applied { by_playlist, titles, notes, counts, playlists, days, totals }
}

/// Forgets, from `epoch` on, days before `first` in a part of all playlists.
fn forget_old(days: &mut Book<PlaylistId, Days>, epoch: u64, ageing: &mut Ageing, first: Day) {
    let Some(part) = ageing.next(first) else { return };
    let is_old = |day: &Day| *day != Day::default() && *day < ageing.first();
    let old = |id: &PlaylistId| {
        let days = days.newest(id).filter(|days| days.iter().any(is_old))?;
        Some((*id, days.clone()))
    };
    for (id, mut kept) in days.keys(part).filter_map(old).collect::<Vec<_>>() {
        draft::forget_before(&mut kept, ageing.first());
        let is_any = kept.iter().any(|day| *day != Day::default());
        days.set(epoch, id, is_any.then_some(kept));
    }
}
