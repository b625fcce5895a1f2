//! The catalogue: what is known of each track, kept by the worker that owns it, and its popularity.
//!
//! Notes are taken in log order, one edit after the other, never netted per epoch: inline names go with a
//! track's last entry, and whether there was a moment without entries depends on each single edit. The
//! result is therefore the same however the log is cut into epochs.

mod card;
mod note;

use std::collections::BTreeMap;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Capability, core::Concat, vec::Broadcast};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use card::Parties;
pub use card::{Card, Source, TrackCard};
pub use note::{News, Note, Notes};

use crate::apply::Count;
use crate::edit::Mentions;
use crate::engine::Refused;
use crate::ids::TrackId;
use crate::views::Shared;
use crate::views::book::Book;
use crate::views::popularity::Popularity;

/// Track → URI and names.
pub type Cards = Book<TrackId, Rc<Card>>;

/// Builds containers for a stream that has no records.
type Nothing = CapacityContainerBuilder<Vec<()>>;

/// Seed of the second hash that tells two URIs under one id apart.
const CHECK_SEED: u64 = 6;

/// What is held of every track that has a card.
#[derive(Clone, Copy)]
struct Held {
    /// Playlists that hold it.
    playlists: u32,
    /// A second hash of its URI: a look at the card would cost two cache misses an entry.
    check: u32,
}

/// The tracks of one worker.
struct Catalogue {
    held: FxHashMap<TrackId, Held>,
    cards: Shared<Cards>,
    parties: Parties,
    refused: Refused,
}

/// Builds the operator that keeps cards and counts; also gives changes of the counts.
pub fn catalogue<'s>(
    notes: StreamVec<'s, u64, Note>,
    refused: Refused,
) -> (Shared<Cards>, StreamVec<'s, u64, Count>) {
    let cards = Shared::<Cards>::default();
    let own = Rc::clone(&cards);
    let counts =
        notes.unary_frontier(Exchange::new(|note: &Note| note.to), "Catalogue", move |_cap, _info| {
            let mut waiting: BTreeMap<u64, (Capability<u64>, Vec<Note>)> = BTreeMap::new();
            let mut catalogue =
                Catalogue { held: FxHashMap::default(), cards: own, parties: Parties::default(), refused };
            move |(input, frontier), output| {
                input.for_each(|cap, data| {
                    if let Some(cap) = cap.retain_least(0) {
                        waiting.entry(*cap.time()).or_insert_with(|| (cap, Vec::new())).1.append(data);
                    }
                });
                while let Some(entry) = waiting.first_entry().filter(|e| !frontier.less_equal(e.key())) {
                    let (epoch, (cap, mut notes)) = entry.remove_entry();
                    notes.sort_by_key(|note| note.seq);
                    let mut diffs = FxHashMap::default();
                    notes.into_iter().for_each(|note| catalogue.take(epoch, note, &mut diffs));
                    let net = diffs.into_iter().filter(|(_, diff)| *diff != 0);
                    output.session(&cap).give_iterator(net.map(|(track, diff)| Count::Track(track, diff)));
                }
            }
        });
    (cards, counts)
}

/// Builds the operator that keeps all counts on every worker. The stream it gives is empty: its frontier
/// tells through which epoch they are complete.
pub fn popularity<'s>(
    tracks: StreamVec<'s, u64, Count>,
    playlists: StreamVec<'s, u64, Count>,
) -> (Shared<Popularity>, StreamVec<'s, u64, ()>) {
    let popularity = Shared::<Popularity>::default();
    let own = Rc::clone(&popularity);
    let counts = tracks.concat(playlists).broadcast();
    let complete = counts.unary_frontier::<Nothing, _, _, _>(Pipeline, "Popularity", move |_cap, _info| {
        let mut waiting: BTreeMap<u64, (Capability<u64>, Vec<Count>)> = BTreeMap::new();
        move |(input, frontier), _output| {
            input.for_each(|cap, data| {
                if let Some(cap) = cap.retain_least(0) {
                    waiting.entry(*cap.time()).or_insert_with(|| (cap, Vec::new())).1.append(data);
                }
            });
            while let Some(entry) = waiting.first_entry().filter(|e| !frontier.less_equal(e.key())) {
                let (epoch, (_cap, counts)) = entry.remove_entry();
                let mut popularity = own.borrow_mut();
                for count in counts {
                    match count {
                        Count::Track(track, diff) => popularity.add(epoch, track, diff),
                        Count::Playlists(diff) => popularity.add_playlists(epoch, diff),
                    }
                }
            }
        }
    });
    (popularity, complete)
}

impl Catalogue {
    fn take(&mut self, epoch: u64, note: Note, diffs: &mut FxHashMap<TrackId, i32>) {
        let Note { seq, news, .. } = note;
        match news {
            News::Gained(tracks) => {
                self.learn(epoch, seq, tracks, Source::Inline, |track, held| {
                    held.playlists += 1;
                    *diffs.entry(track).or_default() += 1;
                });
            }
            News::Named(tracks) => self.learn(epoch, seq, tracks, Source::Inline, |_, _| {}),
            News::Described(tracks) => self.learn(epoch, seq, tracks, Source::Described, |_, _| {}),
            News::Lost(tracks) => {
                for track in tracks {
                    *diffs.entry(track).or_default() -= 1;
                    if let Some(held) = self.held.get_mut(&track) {
                        held.playlists = held.playlists.saturating_sub(1);
                        if held.playlists == 0 {
                            self.forget(epoch, track, Source::Inline);
                        }
                    }
                }
            }
            News::Forgotten(track) => self.forget(epoch, track, Source::Described),
        }
    }

    fn learn(
        &mut self,
        epoch: u64,
        seq: u64,
        mut tracks: Mentions,
        source: Source,
        mut count: impl FnMut(TrackId, &mut Held),
    ) {
        let mut cards = self.cards.borrow_mut();
        for (track, uri, names) in tracks.drain() {
            let check = xxh3_64_with_seed(uri.as_bytes(), CHECK_SEED) as u32;
            let known = self.held.contains_key(&track);
            let held = self.held.entry(track).or_insert(Held { playlists: 0, check });
            count(track, held);
            if held.check != check {
                // The entry stands, so that it can be removed again; the first URI keeps the names.
                (self.refused)(seq, format!("track {uri:?} has the id of another track that is there"));
                continue;
            }
            // A description stays until forgotten, even if it says no more than that the track is there.
            let names = names.or_else(|| (source == Source::Described).then(Box::default));
            let card = cards.newest(&track);
            let names = names.filter(|names| !card.is_some_and(|card| card.knows(names, source)));
            if !known || names.is_some() {
                let mut card = card.cloned().unwrap_or_else(|| Rc::new(Card::new(uri)));
                if let Some(names) = names {
                    Rc::make_mut(&mut card).learn(*names, source, &mut self.parties);
                }
                cards.set(epoch, track, Some(card));
            }
        }
    }

    /// Drops the names from one source, and the track as a whole if nothing else keeps it.
    fn forget(&mut self, epoch: u64, track: TrackId, source: Source) {
        let Some(held) = self.held.get(&track) else { return };
        let mut cards = self.cards.borrow_mut();
        let Some(card) = cards.newest(&track) else { return };
        let described = source == Source::Inline && card.has(Source::Described);
        if held.playlists == 0 && !described {
            self.held.remove(&track);
            cards.set(epoch, track, None);
        } else if card.has(source) {
            let mut card = Rc::clone(card);
            Rc::make_mut(&mut card).forget(source);
            cards.set(epoch, track, Some(card));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_second_track_under_a_taken_id_is_refused_and_can_leave_again() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&seen);
        let mut catalogue = Catalogue {
            held: FxHashMap::default(),
            cards: Shared::default(),
            parties: Parties::default(),
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
        assert_eq!(catalogue.cards.borrow().newest(&track).map(|card| card.uri.clone()), Some("two".into()));
        assert_eq!(diffs[&track], 1);
    }
}
