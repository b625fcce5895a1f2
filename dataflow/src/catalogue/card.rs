//! What the catalogue knows of one track: pure, one note after the other.

use std::rc::Rc;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use crate::edit::{Names, Party};

/// A track's URI and names. Inline names came with entries and go with the last of them; described ones
/// came by themselves and stay until forgotten. Of each field the newer of the two is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Its URI.
    pub uri: Box<str>,
    inline: Option<Box<Known>>,
    described: Option<Box<Known>>,
    described_last: bool,
}

/// As [`Names`], with artists and albums shared between tracks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    name: Option<Box<str>>,
    artist: Option<Rc<Party>>,
    album: Option<Rc<Party>>,
    duration_ms: Option<u32>,
}

/// A track as an answer shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackCard {
    /// Its URI.
    pub uri: Box<str>,
    /// Its names.
    pub names: Names,
}

/// Where names came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// With an entry.
    Inline,
    /// In a `track_described`.
    Described,
}

impl Card {
    /// A track of which only the URI is known.
    pub fn new(uri: &str) -> Self {
        Card { uri: uri.into(), inline: None, described: None, described_last: false }
    }

    /// Whether [`Card::learn`] would change anything.
    pub fn knows(&self, names: &Names, source: Source) -> bool {
        let described = source == Source::Described;
        let known = if described { &self.described } else { &self.inline };
        self.described_last == described && known.as_ref().is_some_and(|known| known.covers(names))
    }

    /// Takes over every field that `names` has.
    pub fn learn(&mut self, names: Names, source: Source, parties: &mut Parties) {
        self.described_last = source == Source::Described;
        let known = if self.described_last { &mut self.described } else { &mut self.inline };
        known.get_or_insert_default().overlay(names, parties);
    }

    /// Drops the names from `source`.
    pub fn forget(&mut self, source: Source) {
        self.described_last = source == Source::Inline;
        let known = if source == Source::Described { &mut self.described } else { &mut self.inline };
        *known = None;
    }

    /// Whether names from `source` are there.
    pub fn has(&self, source: Source) -> bool {
        if source == Source::Described { self.described.is_some() } else { self.inline.is_some() }
    }

    /// The track as an answer shows it.
    pub fn shown(&self) -> TrackCard {
        let (older, newer) = if self.described_last {
            (&self.inline, &self.described)
        } else {
            (&self.described, &self.inline)
        };
        let mut names = Names::default();
        for known in [older, newer].into_iter().flatten() {
            names.overlay(known.names());
        }
        TrackCard { uri: self.uri.clone(), names }
    }
}

impl Known {
    fn covers(&self, names: &Names) -> bool {
        let party = |ours: &Option<Rc<Party>>, theirs: &Option<Party>| {
            theirs.is_none() || ours.as_deref() == theirs.as_ref()
        };
        (names.name.is_none() || self.name == names.name)
            && party(&self.artist, &names.artist)
            && party(&self.album, &names.album)
            && (names.duration_ms.is_none() || self.duration_ms == names.duration_ms)
    }

    fn overlay(&mut self, names: Names, parties: &mut Parties) {
        self.name = names.name.or(self.name.take());
        self.artist = names.artist.map(|party| parties.share(party)).or(self.artist.take());
        self.album = names.album.map(|party| parties.share(party)).or(self.album.take());
        self.duration_ms = names.duration_ms.or(self.duration_ms);
    }

    fn names(&self) -> Names {
        Names {
            name: self.name.clone(),
            artist: self.artist.as_deref().cloned(),
            album: self.album.as_deref().cloned(),
            duration_ms: self.duration_ms,
        }
    }
}

/// Artists and albums in use, so that tracks share them. The unused ones are swept out each time their
/// number has doubled.
#[derive(Default)]
pub struct Parties {
    all: FxHashSet<Rc<Party>>,
    sweep_at: usize,
}

impl Parties {
    fn share(&mut self, party: Party) -> Rc<Party> {
        if let Some(known) = self.all.get(&party) {
            return Rc::clone(known);
        }
        if self.all.len() >= self.sweep_at {
            self.all.retain(|party| Rc::strong_count(party) > 1);
            self.sweep_at = (2 * self.all.len()).max(1024);
        }
        let party = Rc::new(party);
        self.all.insert(Rc::clone(&party));
        party
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, artist: Option<&str>) -> Names {
        let artist = artist.map(|a| Party { uri: a.into(), name: None });
        Names { name: Some(name.into()), artist, ..Names::default() }
    }

    #[test]
    fn the_newest_of_each_field_is_shown_and_each_source_forgets_its_own() {
        let (mut card, mut parties) = (Card::new("t"), Parties::default());
        card.learn(names("old", Some("a")), Source::Described, &mut parties);
        card.learn(names("new", None), Source::Inline, &mut parties);
        assert_eq!(card.shown().names, names("new", Some("a")));
        assert!(card.knows(&names("new", None), Source::Inline));
        assert!(!card.knows(&names("old", None), Source::Described), "it would be the newer one");
        card.forget(Source::Inline);
        assert_eq!(card.shown().names, names("old", Some("a")));
        assert!(card.has(Source::Described) && !card.has(Source::Inline));
        card.forget(Source::Described);
        assert_eq!(card, Card::new("t"));
    }

    #[test]
    fn parties_that_nobody_uses_are_swept_out() {
        let mut parties = Parties::default();
        let kept = parties.share(Party { uri: "kept".into(), name: None });
        for i in 0..10_000 {
            drop(parties.share(Party { uri: format!("{i}").into(), name: None }));
        }
        assert!(parties.all.len() <= 1025, "{}", parties.all.len());
        assert!(Rc::ptr_eq(&kept, &parties.share(Party { uri: "kept".into(), name: None })));
    }
}
