//! What the catalogue knows of one track: packed, since there are millions.

use serde::{Deserialize, Serialize};

use super::parties::{Parties, PartyNo, packed};
use super::uri::Packed;
use crate::edit::Names;
use crate::ids::ArtistId;

/// A track's URI and names. Inline names came with entries and go with the last of them; described ones
/// came by themselves and stay until forgotten. Of each field the newer of the two is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card(Box<[u8]>);

/// What is packed in a card.
#[derive(Default, Serialize, Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    uri: Packed<'a>,
    inline: Option<Known<'a>>,
    described: Option<Known<'a>>,
    described_last: bool,
}

/// As [`Names`], with artists and albums by number.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Known<'a> {
    name: Option<&'a str>,
    artist: Option<PartyNo>,
    album: Option<PartyNo>,
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

/// All that is kept of a track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackRecord {
    /// Its URI.
    pub uri: Box<str>,
    /// Names that came with entries.
    pub inline: Option<Names>,
    /// Names from `track_described`.
    pub described: Option<Names>,
    /// Whether the described names are the newer ones.
    pub described_last: bool,
}

/// Where names came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// With an entry.
    Inline,
    /// In a `track_described`.
    Described,
}

impl<'a> Fields<'a> {
    fn pack(&self) -> Card {
        packed(self, |packed| Card(packed.into()))
    }

    fn of(&mut self, source: Source) -> &mut Option<Known<'a>> {
        match source {
            Source::Inline => &mut self.inline,
            Source::Described => &mut self.described,
        }
    }

    /// Older, newer.
    fn by_age(&self) -> [Option<Known<'a>>; 2] {
        if self.described_last { [self.inline, self.described] } else { [self.described, self.inline] }
    }
}

impl Card {
    /// A track of which the URI is known, and perhaps what one source says of it.
    pub fn new(uri: &str, names: Option<(&Names, Source)>, parties: &mut Parties) -> Self {
        let mut fields = Fields { uri: parties.prefixes.pack(uri), ..Fields::default() };
        if let Some((names, source)) = names {
            fields.described_last = source == Source::Described;
            *fields.of(source) = Some(Known::default().with(names, parties));
        }
        fields.pack()
    }

    /// What is kept of the track, packed.
    pub fn of(record: &TrackRecord, parties: &mut Parties) -> Self {
        let TrackRecord { uri, inline, described, described_last } = record;
        let [inline, described] = [inline, described]
            .map(|names| names.as_ref().map(|names| Known::default().with(names, parties)));
        let uri = parties.prefixes.pack(uri);
        Fields { uri, inline, described, described_last: *described_last }.pack()
    }

    /// What is kept of the track.
    pub fn record(&self, parties: &Parties) -> TrackRecord {
        let Fields { uri, inline, described, described_last } = self.fields();
        let [inline, described] = [inline, described].map(|known| known.map(|known| known.names(parties)));
        TrackRecord { uri: parties.prefixes.unpack(uri), inline, described, described_last }
    }

    fn fields(&self) -> Fields<'_> {
        postcard::from_bytes(&self.0).unwrap_or_default()
    }

    /// The card with every field that `names` has taken over; none if it has all of them already.
    pub fn learn(&self, names: &Names, source: Source, parties: &mut Parties) -> Option<Card> {
        let mut fields = self.fields();
        let described = source == Source::Described;
        let last = std::mem::replace(&mut fields.described_last, described);
        let slot = fields.of(source);
        let new = slot.unwrap_or_default().with(names, parties);
        let same = slot.replace(new).is_some_and(|known| known.is(&new)) && last == described;
        (!same).then(|| fields.pack())
    }

    /// The card without the names from `source`; none if there are none.
    pub fn forget(&self, source: Source) -> Option<Card> {
        let mut fields = self.fields();
        fields.described_last = source == Source::Inline;
        fields.of(source).take().map(|_| fields.pack())
    }

    /// Whether names from `source` are there.
    pub fn has(&self, source: Source) -> bool {
        self.fields().of(source).is_some()
    }

    /// The artists and albums it names.
    pub fn parties(&self) -> impl Iterator<Item = PartyNo> {
        self.fields().by_age().into_iter().flatten().flat_map(|known| [known.artist, known.album]).flatten()
    }

    /// The track's URI.
    pub fn uri(&self, parties: &Parties) -> Box<str> {
        parties.prefixes.unpack(self.fields().uri)
    }

    /// The artist that is shown.
    pub fn artist(&self, parties: &Parties) -> Option<ArtistId> {
        let known = self.fields().by_age().into_iter().flatten();
        known.filter_map(|known| known.artist).next_back().and_then(|no| parties.artist(no))
    }

    /// The track as an answer shows it.
    pub fn shown(&self, parties: &Parties) -> TrackCard {
        let fields = self.fields();
        let mut names = Names::default();
        for known in fields.by_age().into_iter().flatten() {
            names.overlay(known.names(parties));
        }
        TrackCard { uri: parties.prefixes.unpack(fields.uri), names }
    }
}

impl<'a> Known<'a> {
    /// With every field that `names` has taken over.
    fn with(self, names: &'a Names, parties: &mut Parties) -> Known<'a> {
        Known {
            name: names.name.as_deref().or(self.name),
            artist: names.artist.as_ref().map(|artist| parties.number(artist)).or(self.artist),
            album: names.album.as_ref().map(|album| parties.number(album)).or(self.album),
            duration_ms: names.duration_ms.or(self.duration_ms),
        }
    }

    fn names(&self, parties: &Parties) -> Names {
        Names {
            name: self.name.map(Into::into),
            artist: self.artist.and_then(|no| parties.get(no)),
            album: self.album.and_then(|no| parties.get(no)),
            duration_ms: self.duration_ms,
        }
    }

    fn is(&self, other: &Known<'_>) -> bool {
        (self.name, self.artist, self.album, self.duration_ms)
            == (other.name, other.artist, other.album, other.duration_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Party;

    fn names(name: &str, artist: Option<&str>) -> Names {
        let artist = artist.map(|a| Party { uri: a.into(), name: None });
        Names { name: Some(name.into()), artist, ..Names::default() }
    }

    #[test]
    fn the_newest_of_each_field_is_shown_and_each_source_forgets_its_own() {
        let mut parties = Parties::default();
        let new = Card::new("t", None, &mut parties);
        let mut learn = |card: &Card, names, source| card.learn(&names, source, &mut parties);
        let described = learn(&new, names("old", Some("a")), Source::Described).expect("new");
        let both = learn(&described, names("new", None), Source::Inline).expect("new");
        assert_eq!(learn(&both, names("new", None), Source::Inline), None);
        assert!(learn(&both, names("old", None), Source::Described).is_some(), "it is the newer one");
        assert_eq!(both.shown(&parties).names, names("new", Some("a")));
        assert_eq!(both.artist(&parties), Some(ArtistId::of("a")));
        assert_eq!(new.artist(&parties), None);
        let old = both.forget(Source::Inline).expect("it was there");
        assert_eq!(old.shown(&parties).names, names("old", Some("a")));
        assert!(old.has(Source::Described) && !old.has(Source::Inline));
        assert_eq!(old.forget(Source::Inline), None);
        assert_eq!(
            old.forget(Source::Described).map(|card| card.shown(&parties).names),
            Some(Names::default())
        );
    }
}
