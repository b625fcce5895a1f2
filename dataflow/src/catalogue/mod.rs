//! The catalogue: what is known of each track, kept by the worker that owns it, and its popularity.
//!
//! Notes are taken in log order, one edit after the other, never netted per epoch: inline names go with a
//! track's last entry, and whether there was a moment without entries depends on each single edit. The
//! result is therefore the same however the log is cut into epochs.

mod card;
mod cards;
mod note;
mod parties;
mod uri;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::{Operator, OutputBuilder};
use timely::dataflow::operators::{Capability, core::Concat, vec::Map};

pub use card::{Source, TrackCard, TrackRecord};
use cards::ByArtist;
pub use cards::Cards;
pub use note::{News, Note, Notes};

use crate::apply::Count;
use crate::edit::Mentions;
use crate::engine::Refused;
use crate::ids::TrackId;
use crate::views::Shared;
use crate::views::popularity::Popularity;
use crate::views::trending::Trending;

/// Builds containers for a stream that has no records.
type Nothing = CapacityContainerBuilder<Vec<()>>;

/// Records of one epoch, and the right to say something about it.
type Waiting<D> = (Capability<u64>, Vec<D>);

/// The tracks of one worker, while notes are taken.
struct Catalogue {
    cards: Shared<Cards>,
    trending: Shared<Trending>,
    refused: Refused,
}

/// What comes out of the catalogue.
pub struct Catalogued<'s> {
    /// Changes of the counts.
    pub counts: StreamVec<'s, u64, Count>,
    /// (Artist, track) changes, of this worker's tracks.
    pub artists: StreamVec<'s, u64, ByArtist>,
}

/// Builds the operator that goes on with these cards and additions by day, and keeps counts.
pub fn catalogue<'s>(
    notes: StreamVec<'s, u64, Note>,
    refused: Refused,
    cards: &Shared<Cards>,
    trending: &Shared<Trending>,
) -> Catalogued<'s> {
    let mut builder = OperatorBuilder::new("Catalogue".to_owned(), notes.scope());
    let mut input = builder.new_input(notes, Exchange::new(|note: &Note| note.to));
    let (output, counts) = builder.new_output();
    let mut counts_out = OutputBuilder::<_, CapacityContainerBuilder<Vec<Count>>>::from(output);
    let (output, artists) = builder.new_output();
    let mut artists_out = OutputBuilder::<_, CapacityContainerBuilder<Vec<ByArtist>>>::from(output);

    let catalogue = Catalogue { cards: Arc::clone(cards), trending: Arc::clone(trending), refused };
    builder.build(move |initial| {
        let mut begun = initial.into_iter().nth(1);
        let mut waiting: BTreeMap<u64, ([Capability<u64>; 2], Vec<Note>)> = BTreeMap::new();
        move |frontiers| {
            if let Some(at) = begun.take() {
                let artists = catalogue.cards.read().by_artist();
                artists_out.activate().session(&at).give_iterator(artists.into_iter());
            }
            input.for_each(|cap, data| {
                if let [Some(counts), Some(artists)] = [0, 1].map(|port| cap.retain_least(port)) {
                    let entry = waiting.entry(*counts.time());
                    entry.or_insert_with(|| ([counts, artists], Vec::new())).1.append(data);
                }
            });
            let frontier = frontiers[0].frontier();
            while let Some(entry) = waiting.first_entry().filter(|e| !frontier.less_equal(e.key())) {
                let (epoch, ([counts, artists], mut notes)) = entry.remove_entry();
                notes.sort_by_key(|note| note.seq);
                let mut diffs = FxHashMap::default();
                notes.into_iter().for_each(|note| catalogue.take(epoch, note, &mut diffs));
                let net = diffs.into_iter().filter(|(_, diff)| *diff != 0);
                let net = net.map(|(track, diff)| Count::Track(track, diff));
                counts_out.activate().session(&counts).give_iterator(net);
                let moved = {
                    let mut cards = catalogue.cards.write();
                    cards.sweep();
                    cards.take_moved()
                };
                artists_out.activate().session(&artists).give_iterator(moved.into_iter());
            }
        }
    });
    Catalogued { counts, artists }
}

/// Builds the operator that keeps all counts, once in every process: the workers from one number in
/// `writers` to the next share one `popularity`, and the first of them writes it. The stream it gives is
/// empty: its frontier tells through which epoch the counts are complete everywhere.
pub fn popularity<'s>(
    tracks: StreamVec<'s, u64, Count>,
    playlists: StreamVec<'s, u64, Count>,
    popularity: Shared<Popularity>,
    writers: Vec<u64>,
) -> StreamVec<'s, u64, ()> {
    let to_all = tracks.concat(playlists).flat_map(move |count| {
        let writers = writers.clone();
        writers.into_iter().map(move |writer| (writer, count))
    });
    let by_writer = Exchange::new(|(writer, _): &(u64, Count)| *writer);
    to_all.unary_frontier::<Nothing, _, _, _>(by_writer, "Popularity", move |_cap, _info| {
        let mut waiting: BTreeMap<u64, Waiting<(u64, Count)>> = BTreeMap::new();
        move |(input, frontier), _output| {
            input.for_each(|cap, data| {
                if let Some(cap) = cap.retain_least(0) {
                    waiting.entry(*cap.time()).or_insert_with(|| (cap, Vec::new())).1.append(data);
                }
            });
            while let Some(entry) = waiting.first_entry().filter(|e| !frontier.less_equal(e.key())) {
                let (epoch, (_cap, counts)) = entry.remove_entry();
                let mut popularity = popularity.write();
                for (_, count) in counts {
                    match count {
                        Count::Track(track, diff) => popularity.add(epoch, track, diff),
                        Count::Playlists(diff) => popularity.add_playlists(epoch, diff),
                        Count::Title(key, diff) => popularity.titles.add(epoch, key, diff),
                        Count::Titled(diff) => popularity.titles.add_titled(epoch, diff),
                    }
                }
            }
        }
    })
}

impl Catalogue {
    fn take(&self, epoch: u64, note: Note, diffs: &mut FxHashMap<TrackId, i32>) {
        let Note { seq, news, .. } = note;
        match news {
            News::Gained(tracks) => {
                tracks.iter().for_each(|track| *diffs.entry(track.id).or_default() += 1);
                self.learn(epoch, seq, tracks, Source::Inline, 1);
            }
            News::Named(tracks) => self.learn(epoch, seq, tracks, Source::Inline, 0),
            News::Described(tracks) => self.learn(epoch, seq, tracks, Source::Described, 0),
            News::Lost(tracks) => {
                for track in tracks {
                    *diffs.entry(track).or_default() -= 1;
                    self.cards.write().lose(epoch, track);
                }
            }
            News::Forgotten(track) => self.cards.write().forget(epoch, track, Source::Described),
            News::Dated { additions, first } => {
                let mut trending = self.trending.write();
                for (track, day, diff) in additions {
                    trending.add(epoch, track, day, diff);
                }
                trending.keep_from(epoch, first);
            }
        }
    }

    /// Takes in tracks that each are held by `gained` more playlists.
    fn learn(&self, epoch: u64, seq: u64, mut tracks: Mentions, source: Source, gained: u32) {
        let mut cards = self.cards.write();
        for (track, uri, names) in tracks.drain() {
            if !cards.gain(epoch, (track, uri), names, source, gained) {
                (self.refused)(seq, format!("track {uri:?} has the id of another track that is there"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_second_track_under_a_taken_id_is_refused_and_can_leave_again() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&seen);
        let catalogue = Catalogue {
            cards: Shared::default(),
            trending: Shared::default(),
            refused: Rc::new(move |seq, _why| told.borrow_mut().push(seq)),
        };
        let track = TrackId(5);
        let gained = |uri: &str| {
            let mut tracks = Mentions::default();
            tracks.push(track, uri, None);
            News::Gained(tracks)
        };
        let mut diffs = FxHashMap::default();
        let news =
            [gained("one"), gained("two"), News::Lost(vec![track]), News::Lost(vec![track]), gained("two")];
        for (seq, news) in (0..).zip(news) {
            catalogue.take(1, Note { to: 0, seq, news }, &mut diffs);
        }
        assert_eq!(*seen.borrow(), [1]);
        assert_eq!(catalogue.cards.read().get(track, 1).map(|card| card.uri), Some("two".into()));
        assert_eq!(diffs[&track], 1);
    }
}
