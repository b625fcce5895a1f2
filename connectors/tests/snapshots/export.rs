//! A snapshot as plain files: each table whole, whatever layers it is of, and nothing that is damaged.

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use segue_connectors::snapshot::{Error, Settings, Store};
use segue_dataflow::day::Day;
use url::Url;

use crate::running::{Running, loaded, runtime, store};

#[test]
fn an_export_is_the_same_state_in_one_layer() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let store = store(Arc::new(InMemory::new()), &runtime);
    let mut running = Running::start(2, 11, None, 0);
    let mut base = None;
    for step in 0..4 {
        running.feed(150);
        base = Some(running.write(&store, step == 0, base.as_ref()).expect("written"));
    }
    let manifest = base.expect("some");
    assert_eq!(manifest.layers.len(), 4);
    let url = Url::from_directory_path(folder.path()).expect("a path").to_string();
    let settings = Settings { url, ..Settings::default() };
    let to = Store::open(&settings, runtime.handle().clone()).expect("it opens");
    let exported = store.export(&manifest, &to).expect("in order");
    let rows: Vec<u64> = exported.objects().map(|object| object.rows).collect();
    let state = running.state();
    let days = state.playlists.values().flat_map(|(.., days)| days);
    let additions = days.filter(|day| **day != Day::default()).count() as u64;
    assert!(additions > 100);
    let neighbours = state.rows.values().map(|(_, row)| 1 + row.len() as u64).sum::<u64>();
    let [playlists, tracks] = [state.playlists.len(), state.tracks.len()].map(|n| n as u64);
    assert_eq!(rows, [playlists, exported.entries, additions, tracks, neighbours]);
    assert_eq!((exported.layers.len(), &exported.digest), (1, &manifest.digest));
    // Its paths are from its own root, so it can be read as any other.
    assert_eq!(loaded(&to, &exported, 2), state);
    let again = loaded(&store, &manifest, 1);
    assert_eq!(again, state);
    running.stop();

    let mut damaged = manifest;
    damaged.digest = "0".repeat(32);
    let nowhere = Store::on(Arc::new(InMemory::new()), Path::default(), runtime.handle().clone());
    assert!(matches!(store.export(&damaged, &nowhere), Err(Error::Corrupt { .. })));
    assert!(nowhere.epochs().expect("listed").is_empty());
}
