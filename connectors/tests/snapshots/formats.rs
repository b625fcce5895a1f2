//! Snapshots of every version of the format that there ever was: each opens, or is refused by name.

use segue_connectors::snapshot::{Settings, Store};
use segue_dataflow::edit::{Names, Party};
use segue_dataflow::ids::TrackId;
use url::Url;

use crate::running::{loaded, runtime};

#[test]
fn version_1_opens() {
    opens(1);
}

#[test]
fn version_2_opens() {
    opens(2);
}

#[test]
fn version_3_opens() {
    opens(3);
}

#[test]
fn version_4_opens() {
    opens(4);
}

#[test]
fn version_5_opens() {
    opens(5);
}

/// Every version has a fixture of the same state.
fn opens(version: u64) {
    let folder = format!("{}/tests/fixtures/snapshot-{version}", env!("CARGO_MANIFEST_DIR"));
    let runtime = runtime();
    let url = Url::from_directory_path(folder).expect("a path").to_string();
    // Images are read if this machine is like the one that wrote them.
    let settings = Settings { url, images: true, ..Settings::default() };
    let store = Store::look(&settings, runtime.handle().clone()).expect("it opens");
    let epochs = store.epochs().expect("listed");
    let [newest, oldest] = [epochs[0], epochs[1]].map(|epoch| store.manifest(epoch).expect("read"));
    assert_eq!((newest.format, newest.sha256.is_some()), (version, version > 1));
    assert!(newest.objects().all(|object| object.image.is_some() == (version > 2)));
    assert_eq!((newest.layers.len(), &newest.next[..], newest.entries), (2, &[8][..], 3));
    assert_eq!((oldest.layers.len(), &oldest.next[..], oldest.entries), (1, &[5][..], 3));
    assert_eq!(oldest.digest, "2a3141d68ca81aab7e3d28c477b8df4c");
    if version > 4 {
        let rows = loaded(&store, &oldest, 1).rows;
        assert_eq!(rows.into_iter().collect::<Vec<_>>(), [(TrackId::of("fixture:t:1"), (2, vec![]))]);
    }
    let newest_days = newest.newest_days.clone();
    let state = loaded(&store, &newest, 2);
    let titles: Vec<_> =
        state.playlists.values().map(|(uri, title, tracks, _)| (&**uri, title, tracks.len())).collect();
    let expected =
        [("fixture:p:1", Some("Road Trip".to_owned()), 2), ("fixture:p:3", Some("empty".to_owned()), 1)];
    for (uri, title, tracks) in &expected {
        assert!(titles.contains(&(uri, title, *tracks)), "{titles:?}");
    }
    assert_eq!(titles.len(), 2);
    // From 2026-11-20 on.
    let added: Vec<_> =
        state.playlists.values().flat_map(|(.., days)| days.iter().map(|day| day.0)).collect();
    let (days, newest): (&[u16], &[u16]) =
        if version > 3 { (&[20_782, 20_777, 20_777], &[20_782, 20_778, 20_777]) } else { (&[], &[]) };
    assert_eq!((&added[..], &newest_days[..]), (days, newest));
    let mut tracks: Vec<_> = state.tracks.values().collect();
    tracks.sort_by(|a, b| a.uri.cmp(&b.uri));
    let party = |uri: &str, name: Option<&str>| Some(Party { uri: uri.into(), name: name.map(Into::into) });
    let one = Names {
        name: Some("Öne".into()),
        artist: party("fixture:a:1", Some("An Artist")),
        album: party("fixture:b:1", None),
        duration_ms: Some(1000),
    };
    let named = |name: &str| Some(Names { name: Some(name.into()), ..Names::default() });
    let found: Vec<_> = tracks.iter().map(|t| (&*t.uri, t.inline.clone(), t.described.clone())).collect();
    assert_eq!(
        found,
        [
            ("fixture:t:1", Some(one), None),
            ("fixture:t:2", None, named("Two, described")),
            ("fixture:t:3", named("Three"), None)
        ]
    );
}
