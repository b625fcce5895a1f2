//! The five tables. `docs/snapshots.md` says it for readers.

use parquet::errors::Result;
use parquet::schema::types::TypePtr;
use segue_dataflow::catalogue::TrackRecord;
use segue_dataflow::day::Day;
use segue_dataflow::edit::{Names, Party};
use segue_dataflow::ids::{PlaylistId, TrackId};

use super::TableName;
use super::columns::{Cells, Column};
use super::table::{Cell, FileRows, FileWriter, schema};

const PLAYLISTS: &str = "message playlists {
    required int64 playlist (INTEGER(64, false));
    optional binary uri (STRING);
    optional binary title (STRING);
    optional int32 entries (INTEGER(32, false));
}";

const ENTRIES: &str = "message entries {
    required int64 playlist (INTEGER(64, false));
    required int64 track (INTEGER(64, false));
}";

const ADDITIONS: &str = "message additions {
    required int64 playlist (INTEGER(64, false));
    required int64 track (INTEGER(64, false));
    optional int32 day (DATE);
}";

const TRACKS: &str = "message tracks {
    required int64 track (INTEGER(64, false));
    optional binary uri (STRING);
    required boolean inline;
    optional binary inline_name (STRING);
    optional binary inline_artist_uri (STRING);
    optional binary inline_artist (STRING);
    optional binary inline_album_uri (STRING);
    optional binary inline_album (STRING);
    optional int32 inline_duration_ms (INTEGER(32, false));
    required boolean described;
    optional binary described_name (STRING);
    optional binary described_artist_uri (STRING);
    optional binary described_artist (STRING);
    optional binary described_album_uri (STRING);
    optional binary described_album (STRING);
    optional int32 described_duration_ms (INTEGER(32, false));
    required boolean described_last;
}";

const NEIGHBOURS: &str = "message neighbours {
    required int64 track (INTEGER(64, false));
    required int64 neighbour (INTEGER(64, false));
    optional int32 shared (INTEGER(32, false));
}";

impl TableName {
    /// Its schema.
    pub(super) fn schema(self) -> Result<TypePtr> {
        schema(match self {
            TableName::Playlists => PLAYLISTS,
            TableName::Entries => ENTRIES,
            TableName::Tracks => TRACKS,
            TableName::Additions => ADDITIONS,
            TableName::Neighbours => NEIGHBOURS,
        })
    }

    /// A file of it, without rows, perhaps with an image.
    pub(super) fn writer(self, image: bool) -> Result<FileWriter> {
        FileWriter::new(self.schema()?, self.columns(), image)
    }

    /// Its columns, without rows.
    pub(super) fn columns(self) -> Vec<Column> {
        let (ids, flags) = (|| Column::Ids(Vec::new()), || Column::Flags(Vec::new()));
        let (numbers, texts) = (|| Column::Numbers(Cells::default()), || Column::Texts(Cells::default()));
        let names = || {
            let texts = (0..5).map(|_| texts());
            std::iter::once(flags()).chain(texts).chain([numbers()])
        };
        match self {
            TableName::Playlists => vec![ids(), texts(), texts(), numbers()],
            TableName::Entries => vec![ids(), ids()],
            TableName::Additions | TableName::Neighbours => vec![ids(), ids(), numbers()],
            TableName::Tracks => {
                [ids(), texts()].into_iter().chain(names()).chain(names()).chain([flags()]).collect()
            }
        }
    }
}

/// The row of a playlist; without URI it is gone.
pub fn playlist_row<'a>(id: PlaylistId, playlist: Option<(&'a str, Option<&'a str>, u32)>) -> [Cell<'a>; 4] {
    let (uri, title, entries) = match playlist {
        Some((uri, title, entries)) => (Some(uri), title, Some(entries)),
        None => (None, None, None),
    };
    [Cell::Id(id.0), Cell::Text(uri), Cell::Text(title), Cell::Number(entries)]
}

/// The row of an entry.
pub fn entry_row(playlist: PlaylistId, track: TrackId) -> [Cell<'static>; 2] {
    [Cell::Id(playlist.0), Cell::Id(track.0)]
}

/// The row of when an entry was added.
pub fn addition_row(playlist: PlaylistId, track: TrackId, day: Day) -> [Cell<'static>; 3] {
    [Cell::Id(playlist.0), Cell::Id(track.0), Cell::Number(Some(day.0.into()))]
}

/// The playlist, track and day of such a row; none if it has no day that can be.
pub fn addition(row: &mut FileRows) -> Result<Option<(PlaylistId, TrackId, Day)>> {
    let (playlist, track) = (PlaylistId(row.id(0)?), TrackId(row.id(1)?));
    let day = row.number(2)?.and_then(|day| u16::try_from(day).ok()).map(Day);
    Ok(day.filter(|day| *day != Day::default()).map(|day| (playlist, track, day)))
}

/// The row of two tracks that share playlists. What a track shares with itself is how many were counted.
pub fn neighbour_row(track: TrackId, neighbour: TrackId, shared: u32) -> [Cell<'static>; 3] {
    [Cell::Id(track.0), Cell::Id(neighbour.0), Cell::Number(Some(shared))]
}

/// The tracks of such a row, and how many playlists they share.
pub fn neighbour(row: &mut FileRows) -> Result<(TrackId, TrackId, u32)> {
    Ok((TrackId(row.id(0)?), TrackId(row.id(1)?), row.number(2)?.unwrap_or(0)))
}

/// The row of a track; without URI it is gone.
pub fn track_row(id: TrackId, track: Option<&TrackRecord>) -> [Cell<'_>; 17] {
    let [a, b, c, d, e, f, g] = name_cells(track.and_then(|track| track.inline.as_ref()));
    let [h, i, j, k, l, m, n] = name_cells(track.and_then(|track| track.described.as_ref()));
    let uri = Cell::Text(track.map(|track| &*track.uri));
    let last = Cell::Flag(track.is_some_and(|track| track.described_last));
    [Cell::Id(id.0), uri, a, b, c, d, e, f, g, h, i, j, k, l, m, n, last]
}

fn name_cells(names: Option<&Names>) -> [Cell<'_>; 7] {
    let [artist, album] =
        [names.and_then(|names| names.artist.as_ref()), names.and_then(|names| names.album.as_ref())];
    [
        Cell::Flag(names.is_some()),
        Cell::Text(names.and_then(|names| names.name.as_deref())),
        Cell::Text(artist.map(|artist| &*artist.uri)),
        Cell::Text(artist.and_then(|artist| artist.name.as_deref())),
        Cell::Text(album.map(|album| &*album.uri)),
        Cell::Text(album.and_then(|album| album.name.as_deref())),
        Cell::Number(names.and_then(|names| names.duration_ms)),
    ]
}

/// The track of a row; none if it is gone.
pub fn track(row: &mut FileRows) -> Result<(TrackId, Option<TrackRecord>)> {
    let id = TrackId(row.id(0)?);
    let uri: Option<Box<str>> = row.text(1)?.map(Into::into);
    let (inline, described) = (names(row, 2)?, names(row, 9)?);
    let described_last = row.flag(16)?;
    Ok((id, uri.map(|uri| TrackRecord { uri, inline, described, described_last })))
}

fn names(row: &mut FileRows, at: usize) -> Result<Option<Names>> {
    let there = row.flag(at)?;
    let mut text = |column| row.text(at + column).map(|text| text.map(Box::<str>::from));
    let name = text(1)?;
    let mut party = |column| -> Result<Option<Party>> {
        let (uri, name) = (text(column)?, text(column + 1)?);
        Ok(uri.map(|uri| Party { uri, name }))
    };
    let (artist, album) = (party(2)?, party(4)?);
    let duration_ms = row.number(at + 6)?;
    Ok(there.then_some(Names { name, artist, album, duration_ms }))
}
