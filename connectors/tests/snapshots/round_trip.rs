//! What is written comes back, from every store and onto any number of workers.

use std::sync::Arc;

use object_store::memory::InMemory;
use segue_connectors::snapshot::{Layer, Settings, Store, TableName};
use url::Url;

use crate::minio::Minio;
use crate::running::{Running, loaded, runtime, store};

fn round_trip(store: &Store, seed: u64) {
    let mut running = Running::start(2, seed, None, 0);
    let mut base = None;
    for step in 0..8 {
        running.feed(120);
        let manifest = running.write(store, step == 5, base.as_ref()).expect("written");
        assert_eq!(manifest.layers.len(), [1, 2, 3, 4, 5, 1, 2, 3][step], "whole ones and changes");
        assert_eq!(store.epochs().expect("listed")[0], manifest.epoch);
        assert_eq!(store.manifest(manifest.epoch).expect("read"), manifest);
        let workers = [1, 2, 4][step % 3];
        let state = running.state();
        let rows = state.rows.values().filter(|(_, row)| row.len() > 3).count();
        assert!(step < 7 || rows > 10, "{rows} rows to compare");
        assert_eq!(loaded(store, &manifest, workers), state, "step {step}, {workers} workers");
        let of_graph = |layer: &Layer| layer.objects.iter().any(|o| o.table == TableName::Neighbours);
        let with_graph: Vec<bool> = manifest.layers.iter().map(of_graph).collect();
        assert_eq!(with_graph.iter().rposition(|there| *there), Some(with_graph.len() - 1));
        assert_eq!(with_graph.iter().filter(|there| **there).count(), 1, "in the last layer alone");
        base = Some(manifest);
    }
    let everything = store.epochs().expect("listed");
    assert_eq!(everything.len(), 8);
    // The two newest stay though one is asked for, and so does what they need: layers since the whole one.
    let (manifests, objects) = store.retain(1).expect("deleted");
    assert_eq!(manifests, 6);
    assert!(objects >= 12, "{objects}");
    let kept = store.epochs().expect("listed");
    assert_eq!(kept, everything[..2]);
    assert_eq!(store.retain(2).expect("deleted"), (0, 0));
    for epoch in kept {
        store.load(&store.manifest(epoch).expect("read"), 1).expect("in order");
    }
    running.stop();
}

#[test]
fn in_memory() {
    let runtime = runtime();
    round_trip(&store(Arc::new(InMemory::new()), &runtime), 1);
}

#[test]
fn in_a_folder() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let url = Url::from_directory_path(folder.path().join("not there yet")).expect("a path").to_string();
    let settings = Settings { url, ..Settings::default() };
    let mut store = Store::open(&settings, runtime.handle().clone()).expect("it opens");
    assert_eq!(store.claim().expect("it works"), 1);
    round_trip(&store, 2);
}

#[test]
fn in_minio_which_may_go_away() {
    let (runtime, minio) = (runtime(), Minio::start());
    let open =
        |prefix: &str| Store::open(&minio.settings(prefix), runtime.handle().clone()).expect("it opens");
    let mut store = open("a/prefix");
    assert_eq!(store.claim().expect("it works"), 1);
    round_trip(&store, 3);
    // Another prefix knows nothing of it.
    let mut other = open("a");
    assert_eq!((other.epochs().expect("listed"), other.claim().expect("it works")), (vec![], 1));

    // A store that refuses says so.
    let mut wrong = minio.settings("a/prefix");
    wrong.options.insert("aws_secret_access_key".into(), "not it".into());
    let refused =
        Store::open(&wrong, runtime.handle().clone()).expect("it opens").epochs().expect_err("refused");
    let refused = refused.to_string();
    assert!(refused.starts_with("object store: listing manifests: ") && refused.contains("403"), "{refused}");

    let mut running = Running::start(1, 4, None, 0);
    running.feed(100);
    let first = running.write(&other, true, None).expect("written");
    minio.kill();
    running.feed(100);
    let error = running.write(&other, false, Some(&first)).expect_err("nobody there").to_string();
    assert!(error.starts_with("object store: "), "{error}");
    running.feed(100);
    minio.restart();
    // What the failed one would have told is told now.
    let second = running.write(&other, false, Some(&first)).expect("written");
    assert_eq!(loaded(&other, &second, 2), running.state());
    running.stop();
}

#[test]
fn settings_that_lead_nowhere_are_named() {
    let runtime = runtime();
    let error = |url: &str, option: Option<&str>| {
        let options = option.map(|name| (name.to_owned(), "x".to_owned())).into_iter().collect();
        let settings = Settings { url: url.to_owned(), options, ..Settings::default() };
        Store::open(&settings, runtime.handle().clone()).err().expect("refused").to_string()
    };
    assert!(error("bucket/prefix", None).contains("s3://"), "{}", error("bucket/prefix", None));
    assert!(error("ftp://x/y", None).contains("scheme `ftp` is not known"));
    assert!(error("s3://b/p", Some("aws_colour")).contains("`aws_colour` is no option"));
}
