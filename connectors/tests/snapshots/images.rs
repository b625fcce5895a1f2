//! Warm images: the same state as from Parquet, and from Parquet wherever an image is not as it should be.

use std::path::Path;

use segue_connectors::snapshot::{Error, Manifest, Settings, Store};
use tokio::runtime::Runtime;
use url::Url;

use crate::running::{Running, State, loaded, runtime};

fn open(folder: &Path, images: bool, runtime: &Runtime) -> Store {
    let url = Url::from_directory_path(folder).expect("a path").to_string();
    let settings = Settings { url, images, ..Settings::default() };
    Store::open(&settings, runtime.handle().clone()).expect("it opens")
}

/// A whole snapshot and one of changes, with images; and the state.
fn written(folder: &Path, runtime: &Runtime) -> (Store, Manifest, State) {
    let mut store = open(folder, true, runtime);
    store.claim().expect("it works");
    let mut running = Running::start(2, 3, None, 0);
    running.feed(400);
    let whole = running.write(&store, true, None).expect("written");
    running.feed(20);
    let manifest = running.write(&store, false, Some(&whole)).expect("written");
    assert!(manifest.layers.len() == 2 && manifest.objects().all(|object| object.image.is_some()));
    let state = running.state();
    running.stop();
    (store, manifest, state)
}

#[test]
fn they_are_read_instead_of_the_files() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let (store, manifest, state) = written(folder.path(), &runtime);
    let plain = open(folder.path(), false, &runtime);
    for workers in [1, 2] {
        assert_eq!(loaded(&store, &manifest, workers), state);
        assert_eq!(loaded(&plain, &manifest, workers), state);
    }
    store.verify(&manifest).expect("all is in order");
    for object in manifest.objects() {
        std::fs::remove_file(folder.path().join(&object.path)).expect("it was there");
    }
    assert_eq!(loaded(&store, &manifest, 2), state, "no file is needed");
    assert!(matches!(plain.load(&manifest, 2).err(), Some(Error::Corrupt { .. })));
    assert!(matches!(store.verify(&manifest), Err(Error::Corrupt { .. })));
}

#[test]
fn one_that_is_damaged_gone_or_of_another_build_is_passed_over() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let (store, manifest, state) = written(folder.path(), &runtime);
    for object in manifest.objects() {
        let image = object.image.as_ref().expect("it has one");
        let path = folder.path().join(&image.path);
        let good = std::fs::read(&path).expect("it is there");
        let mut damaged = good.clone();
        damaged[good.len() / 2] ^= 1;
        for bad in [Some(&damaged[..]), Some(&good[..good.len() - 8]), None] {
            match bad {
                Some(bytes) => std::fs::write(&path, bytes).expect("writable"),
                None => std::fs::remove_file(&path).expect("writable"),
            }
            assert_eq!(loaded(&store, &manifest, 2), state, "{}", image.path);
            let told = store.verify(&manifest).expect_err("damaged").to_string();
            assert!(told.contains(&image.path), "{told}");
        }
        std::fs::write(&path, &good).expect("writable");
    }
    // Honest bytes that are not what this build takes for an image, or not of this table.
    let mut other = manifest.clone();
    other.layers[0].objects.iter_mut().flat_map(|object| &mut object.image).for_each(|image| {
        image.stamp = "another build".into();
        image.path = "nowhere".into();
    });
    assert_eq!(loaded(&store, &other, 2), state);
    let mut other = manifest;
    let objects = &mut other.layers[0].objects;
    let (first, last) = (objects[0].image.take(), objects[2].image.take());
    (objects[0].image, objects[2].image) = (last, first);
    assert_eq!(loaded(&store, &other, 2), state);
}

#[test]
fn they_go_with_their_snapshots() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let mut store = open(folder.path(), true, &runtime);
    store.claim().expect("it works");
    let mut running = Running::start(1, 5, None, 0);
    for _ in 0..4 {
        running.feed(50);
        running.write(&store, true, None).expect("written");
    }
    assert_eq!(store.retain(2).expect("in order"), (2, 20));
    for epoch in store.epochs().expect("listed") {
        store.verify(&store.manifest(epoch).expect("read")).expect("in order");
    }
    running.stop();
}
