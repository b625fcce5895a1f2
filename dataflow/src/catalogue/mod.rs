//! The catalogue: what is known of each track, kept by the worker that owns it, and its popularity.
//!
//! Notes are taken in log order, one edit after the other, never netted per epoch: inline names go with a
//! track's last entry, and whether there was a moment without entries depends on each single edit. The
//! result is therefore the same however the log is cut into epochs.

mod card;
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
use xxhash_rust::xxh3::xxh3_64_with_seed;

use card::Card;
pub use card::{Source, TrackCard, TrackRecord};
pub use note::{News, Note, Notes};
use parties::Parties;

use crate::apply::Count;
use crate::edit::{Mentions, Names};
use crate::engine::Refused;
use crate::ids::{ArtistId, TrackId};
use crate::views::Shared;
use crate::views::book::{Book, Changes};
use crate::views::parts::PARTS;
use crate::views::past::Past;
use crate::views::popularity::Popularity;
use crate::views::trending::Trending;

/// Builds containers for a stream that has no records.
type Nothing = CapacityContainerBuilder<Vec<()>>;

/// Records of one epoch, and the right to say something about it.
type Waiting<D> = (Capability<u64>, Vec<D>);

/// Seed of the second hash that tells two URIs under one id apart.
const CHECK_SEED: u64 = 6;

fn check(uri: &str) -> u32 {
    xxh3_64_with_seed(uri.as_bytes(), CHECK_SEED) as u32
}

/// Track → URI and names.
#[derive(Default)]
pub struct Cards {
    tracks: Book<TrackId, Held>,
    parties: Parties,
    /// Tracks that came to an artist or left one, and are not told yet.
    moved: Vec<ByArtist>,
    /// URIs of tracks that are gone: whoever reads an earlier step of the graph finds them in its rows. Cards are not
    /// held back to the step for that: while much is loaded the graph waits, and the cards of all new tracks would have
    /// to be told from none before. None if nobody reads the graph.
    gone: Option<Past<TrackId, Box<str>>>,
}

/// A track that some playlist holds, or that was described.
#[derive(Clone)]
struct Held {
    /// URI and names.
    card: Card,
    /// Playlists that hold it, as of the newest edit.
    playlists: u32,
    /// A second hash of its URI: a look at the card would cost a cache miss an entry.
    check: u32,
}

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

/// A change of what an artist has made.
type ByArtist = ((ArtistId, TrackId), u64, i32);

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
                    std::mem::take(&mut cards.moved)
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

impl Cards {
    /// The track as an answer shows it, as-of `epoch`.
    pub fn get(&self, track: TrackId, epoch: u64) -> Option<TrackCard> {
        self.tracks.get(&track, epoch).map(|held| held.card.shown(&self.parties))
    }

    /// The URI of a track that was there as-of a step of the graph that is held.
    pub fn uri_at(&self, track: TrackId, step: u64) -> Option<Box<str>> {
        let gone = self.gone.as_ref().and_then(|gone| gone.get(&track, step));
        gone.cloned().or_else(|| Some(self.tracks.newest(&track)?.card.uri(&self.parties)))
    }

    /// Somebody will read [URIs as-of steps](Self::uri_at).
    pub fn hold_steps(&mut self) {
        self.gone.get_or_insert_default();
    }

    /// Promises to read only URIs as-of this step or later ones.
    pub fn forget_steps_before(&mut self, step: u64) {
        self.gone.iter_mut().for_each(|gone| gone.forget_before(step));
    }

    /// How many tracks are gone and held.
    pub fn held(&self) -> usize {
        self.gone.as_ref().map_or(0, Past::size)
    }

    /// All that is kept of the track, as-of `epoch`.
    pub fn record(&self, track: TrackId, epoch: u64) -> Option<TrackRecord> {
        self.tracks.get(&track, epoch).map(|held| held.card.record(&self.parties))
    }

    /// Takes in a track as it was kept, before the first epoch.
    pub fn restore(&mut self, track: TrackId, record: &TrackRecord) {
        let check = check(&record.uri);
        let held = Held { card: Card::of(record, &mut self.parties), playlists: 0, check };
        self.tracks.set(0, track, Some(held));
        self.parties.all_used();
    }

    /// So many playlists hold the track, if it is known.
    pub fn count(&mut self, track: TrackId, playlists: u32) {
        self.tracks.newest_mut(&track).into_iter().for_each(|held| held.playlists = playlists);
    }

    /// See [`Book::keys`].
    pub fn keys(&self, part: usize) -> impl Iterator<Item = &TrackId> {
        self.tracks.keys(part)
    }

    /// See [`Book::changed_since`].
    pub fn changed_since(&self, epoch: u64) -> impl Iterator<Item = &TrackId> {
        self.tracks.changed_since(epoch)
    }

    /// See [`Book::mark`].
    pub fn mark(&mut self, epoch: u64) -> Changes<TrackId> {
        self.tracks.mark(epoch)
    }

    /// See [`Book::unmark`].
    pub fn unmark(&mut self, changes: Changes<TrackId>) {
        self.tracks.unmark(changes);
    }

    /// Promises to read only as-of `since` or later.
    pub fn forget_before(&mut self, since: u64) {
        self.tracks.forget_before(since);
    }

    /// Epochs that can still be told apart.
    pub fn epochs(&self) -> usize {
        self.tracks.epochs()
    }

    /// The artist of the track, as-of `epoch`.
    pub fn artist(&self, track: TrackId, epoch: u64) -> Option<ArtistId> {
        self.tracks.get(&track, epoch)?.card.artist(&self.parties)
    }

    /// All tracks by their artists, as there since time 0.
    fn by_artist(&self) -> Vec<ByArtist> {
        let artist = |held: &Held| held.card.artist(&self.parties);
        self.tracks.iter().filter_map(|(track, held)| Some(((artist(held)?, *track), 0, 1))).collect()
    }

    /// Sets what is known of a track from `epoch` on.
    fn set(&mut self, epoch: u64, track: TrackId, held: Option<Held>) {
        let artist = |held: &Held| held.card.artist(&self.parties);
        let before = self.tracks.newest(&track);
        let (old, new) = (before.and_then(artist), held.as_ref().and_then(artist));
        if let (Some(before), None, Some(gone)) = (before, &held, &mut self.gone) {
            gone.add(epoch, track, before.card.uri(&self.parties));
        }
        if old != new {
            let moves = [(old, -1), (new, 1)].into_iter();
            self.moved.extend(moves.filter_map(|(artist, diff)| Some(((artist?, track), epoch, diff))));
        }
        self.tracks.set(epoch, track, held);
    }

    /// Goes on with a sweep of artists and albums that no card names any more, if one is due: a step at a time, since
    /// all of it at once would hold the worker.
    fn sweep(&mut self) {
        let Cards { tracks, parties, .. } = self;
        match parties.sweep_part() {
            Some(part) if part < PARTS => {
                parties.mark(tracks.values(part).flat_map(|held| held.card.parties()));
            }
            Some(PARTS) => parties.mark(tracks.past().flat_map(|held| held.card.parties())),
            Some(_) => parties.drop_unmarked(),
            None => {}
        }
    }

    /// Adds names to what is known of a track.
    fn learn(&mut self, epoch: u64, track: TrackId, names: &Names, source: Source) {
        let Some(held) = self.tracks.newest(&track) else { return };
        let Some(card) = held.card.learn(names, source, &mut self.parties) else { return };
        let held = Held { card, ..*held };
        self.set(epoch, track, Some(held));
    }

    /// Drops the names from one source, and the track as a whole if nothing else keeps it.
    fn forget(&mut self, epoch: u64, track: TrackId, source: Source) {
        let Some(held) = self.tracks.newest(&track) else { return };
        let described = source == Source::Inline && held.card.has(Source::Described);
        if held.playlists == 0 && !described {
            self.set(epoch, track, None);
        } else if let Some(card) = held.card.forget(source) {
            let held = Held { card, ..*held };
            self.set(epoch, track, Some(held));
        }
    }
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
                    let mut cards = self.cards.write();
                    let Some(held) = cards.tracks.newest_mut(&track) else { continue };
                    held.playlists = held.playlists.saturating_sub(1);
                    if held.playlists == 0 {
                        cards.forget(epoch, track, Source::Inline);
                    }
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
            let check = check(uri);
            // A description stays until forgotten, even if it says no more than that the track is there.
            let names = names.or_else(|| (source == Source::Described).then(Box::default));
            match cards.tracks.newest_mut(&track) {
                Some(held) => {
                    // An entry of a second URI counts, so that it can be removed again; the names stay.
                    held.playlists += gained;
                    if held.check != check {
                        (self.refused)(
                            seq,
                            format!("track {uri:?} has the id of another track that is there"),
                        );
                        continue;
                    }
                }
                None => {
                    let names = names.as_deref().map(|names| (names, source));
                    let card = Card::new(uri, names, &mut cards.parties);
                    cards.set(epoch, track, Some(Held { card, playlists: gained, check }));
                    continue;
                }
            }
            if let Some(names) = names {
                cards.learn(epoch, track, &names, source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::edit::Party;

    #[test]
    fn what_was_kept_is_not_swept_at_once() {
        let mut cards = Cards::default();
        for n in 0..5_000 {
            let artist = Party { uri: format!("a:{n}").into(), name: None };
            let names = Names { artist: Some(artist), ..Names::default() };
            let record =
                TrackRecord { uri: format!("t:{n}").into(), inline: Some(names), ..Default::default() };
            cards.restore(TrackId(n), &record);
        }
        assert_eq!(cards.parties.sweep_part(), None);
    }

    #[test]
    fn a_sweep_takes_a_part_an_epoch_and_keeps_what_is_named_meanwhile() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut cards = Cards::default();
        let mut shown = FxHashMap::default();
        for epoch in 1..1_500 {
            for _ in 0..30 {
                // Names go from one artist to another, tracks come and go; a number that is free is given again soon.
                let (track, artist) = (TrackId(rng.random_range(0..1_000)), rng.random_range(0..20_000));
                let names = Names {
                    artist: Some(Party { uri: format!("a:{artist}").into(), name: None }),
                    ..Names::default()
                };
                let card = Card::new("t", Some((&names, Source::Inline)), &mut cards.parties);
                let held = rng.random_bool(0.7).then_some(Held { card, playlists: 1, check: 0 });
                shown.insert(track, held.is_some().then_some(names));
                cards.set(epoch, track, held);
            }
            cards.sweep();
            let since = epoch.saturating_sub(40);
            cards.forget_before(since);
            for track in (0..1_000).map(TrackId) {
                let seen = cards.get(track, epoch).map(|card| card.names);
                assert_eq!(seen.as_ref(), shown.get(&track).and_then(Option::as_ref), "epoch {epoch}");
                let then = cards.get(track, since).map(|card| card.names.artist);
                assert_ne!(then, Some(None), "as of {since}, in {epoch}");
            }
        }
        // All artists were named, and few at a time.
        let last = cards.parties.number(&Party { uri: "a:last".into(), name: None });
        assert!(last < 12_000, "{last}");
    }

    #[test]
    fn artists_of_versions_that_are_only_in_the_past_stay() {
        let mut cards = Cards::default();
        let put = |cards: &mut Cards, epoch: u64, artist: &dyn Fn(u64) -> String| {
            for n in 0..2_000 {
                let artist = Some(Party { uri: artist(n).into(), name: None });
                let names = Names { artist, ..Names::default() };
                let card = Card::new("t", Some((&names, Source::Inline)), &mut cards.parties);
                cards.set(epoch, TrackId::of(&n.to_string()), Some(Held { card, playlists: 1, check: 0 }));
            }
        };
        put(&mut cards, 1, &|n| format!("a:{n}"));
        // The sweep has begun, and has looked at one part, when all tracks get another.
        cards.sweep();
        put(&mut cards, 2, &|_| "a:new".to_owned());
        (0..PARTS + 10).for_each(|_| cards.sweep());
        for n in 0..2_000 {
            let artist = cards.artist(TrackId::of(&n.to_string()), 1);
            assert_eq!(artist, Some(ArtistId::of(&format!("a:{n}"))));
            let shown = cards.get(TrackId::of(&n.to_string()), 1).and_then(|card| card.names.artist);
            assert_eq!(shown.map(|artist| artist.uri), Some(format!("a:{n}").into()));
        }
    }

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
