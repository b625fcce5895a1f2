//! The real files beside the project: every row of them counted, and the edits applied to their end.

use std::collections::HashSet;
use std::path::PathBuf;

use segue_replay::source::{Counts, Reader, find};

mod twin;
use twin::Twin;

fn entries(twin: &Twin) -> usize {
    twin.playlists.values().map(HashSet::len).sum()
}

fn load(name: &str) -> Option<(Twin, Counts)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: ../shared/data/{name} is not there");
        return None;
    }
    let (mut twin, mut reader) = (Twin::default(), Reader::new());
    let flow = reader.read_all(&find(&[path]).expect("a source"), &mut twin);
    assert!(flow.is_continue());
    Some((twin, reader.counts()))
}

#[test]
fn the_edits_end_where_the_data_say() {
    let Some((twin, counts)) = load("playlist-archive.events.ndjson.gz") else { return };
    assert_eq!(counts.events, 164_428);
    assert_eq!((twin.playlists.len(), entries(&twin)), (250, 24_419));
    let tracks: HashSet<_> = twin.playlists.values().flatten().collect();
    assert_eq!(tracks.len(), 19_183);
}

#[test]
fn both_slices_load_whole() {
    let Some((first, counts)) = load("mpd-format/mpd.slice.0-999.json.gz") else { return };
    assert_eq!((counts.playlists, counts.rows, counts.rows_without_track), (250, 24_470, 0));
    assert_eq!(first.named_rows, 0, "names come with descriptions only");
    assert_eq!(counts.events as usize, first.playlists.len() + first.described.len());
    let Some((second, counts)) = load("mpd-format/mpd.slice.1000-1999.json.gz") else { return };
    assert_eq!((counts.playlists, counts.rows), (120, 92_015));
    assert_eq!((second.playlists.len(), entries(&second)), (120, 91_502));
    let Some((both, counts)) = load("mpd-format") else { return };
    assert_eq!((counts.playlists, counts.rows), (370, 24_470 + 92_015));
    assert_eq!(entries(&both), entries(&first) + entries(&second));
}
