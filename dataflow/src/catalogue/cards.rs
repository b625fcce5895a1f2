//! What is known of each track of one worker, and of those that went while somebody still reads of them.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::card::{Card, Source, TrackCard, TrackRecord};
use super::parties::Parties;
use crate::edit::Names;
use crate::ids::{ArtistId, TrackId};
use crate::views::book::{Book, Changes};
use crate::views::parts::PARTS;
use crate::views::past::Past;

/// Seed of the second hash that tells two URIs under one id apart.
const CHECK_SEED: u64 = 6;

fn check(uri: &str) -> u32 {
    xxh3_64_with_seed(uri.as_bytes(), CHECK_SEED) as u32
}

/// A change of what an artist has made.
pub type ByArtist = ((ArtistId, TrackId), u64, i32);

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
    pub(super) fn by_artist(&self) -> Vec<ByArtist> {
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
    pub(super) fn sweep(&mut self) {
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

    /// What has come to artists or left them since this was last asked.
    pub(super) fn take_moved(&mut self) -> Vec<ByArtist> {
        std::mem::take(&mut self.moved)
    }

    /// So many more playlists hold a track, or it is described. False if another track that is there has its id: then
    /// it counts, so that it can be removed again, but the names stay.
    pub(super) fn gain(
        &mut self,
        epoch: u64,
        (track, uri): (TrackId, &str),
        names: Option<Box<Names>>,
        source: Source,
        gained: u32,
    ) -> bool {
        let check = check(uri);
        // A description stays until forgotten, even if it says no more than that the track is there.
        let names = names.or_else(|| (source == Source::Described).then(Box::default));
        let Some(held) = self.tracks.newest_mut(&track) else {
            let names = names.as_deref().map(|names| (names, source));
            let card = Card::new(uri, names, &mut self.parties);
            self.set(epoch, track, Some(Held { card, playlists: gained, check }));
            return true;
        };
        held.playlists += gained;
        if held.check != check {
            return false;
        }
        names.into_iter().for_each(|names| self.learn(epoch, track, &names, source));
        true
    }

    /// A playlist holds the track no more.
    pub(super) fn lose(&mut self, epoch: u64, track: TrackId) {
        let Some(held) = self.tracks.newest_mut(&track) else { return };
        held.playlists = held.playlists.saturating_sub(1);
        if held.playlists == 0 {
            self.forget(epoch, track, Source::Inline);
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
    pub(super) fn forget(&mut self, epoch: u64, track: TrackId, source: Source) {
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

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rustc_hash::FxHashMap;

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
}
