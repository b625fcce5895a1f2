//! Whatever is damaged is found and named, and the snapshot before is still there.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_connectors::snapshot::{Error, FORMAT, Manifest, Settings, Store};
use url::Url;

use crate::running::{Running, runtime};

/// With another byte at this place.
fn flipped(good: &[u8], at: usize, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = good.to_vec();
    bytes[at] ^= rng.random_range(1..=u8::MAX);
    bytes
}

/// As recovery does: the newest that is in order.
fn in_order(store: &Store) -> Manifest {
    let read = |epoch| store.manifest(epoch).and_then(|m| store.load(&m, 1).map(|_| m)).ok();
    store.epochs().expect("listed").into_iter().find_map(read).expect("one is in order")
}

#[test]
fn a_damaged_object_is_named() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let url = Url::from_directory_path(folder.path()).expect("a path").to_string();
    let settings = Settings { url, ..Settings::default() };
    let mut store = Store::open(&settings, runtime.handle().clone()).expect("it opens");
    store.claim().expect("it works");
    let mut running = Running::start(2, 7, None, 0);
    running.feed(300);
    let before = running.write(&store, true, None).expect("written");
    running.feed(100);
    // Not on top of the other, so that they share nothing.
    let whole = running.write(&store, true, None).expect("written");
    running.feed(20);
    let manifest = running.write(&store, false, Some(&whole)).expect("written");
    // The snapshot between is needed by the newest, so what is damaged of it is damaged of both; let it be gone.
    std::fs::remove_file(folder.path().join(format!("manifests/{:020}.json", whole.epoch))).expect("there");
    running.stop();
    assert_eq!(manifest.objects().count(), 9);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for object in manifest.objects() {
        let path = folder.path().join(&object.path);
        let good = std::fs::read(&path).expect("it is there");
        let refused = |why: &str| match store.load(&manifest, 2).err() {
            Some(error @ Error::Corrupt { .. }) => {
                assert!(error.is_about_one_snapshot());
                let told = error.to_string();
                assert!(told.starts_with(&object.path) && told.contains(why), "{why}: {told}");
            }
            other => panic!("{} {why}: {other:?}", object.path),
        };
        let last = good.len() - 1;
        let anywhere: Vec<usize> = (0..5).map(|_| rng.random_range(0..=last)).collect();
        for at in [0, last / 2, last].into_iter().chain(anywhere) {
            std::fs::write(&path, flipped(&good, at, &mut rng)).expect("writable");
            refused("SHA-256");
            assert_eq!(in_order(&store).epoch, before.epoch, "nothing of it is shared with the older one");
        }
        std::fs::write(&path, &good[..good.len() / 2]).expect("writable");
        refused("bytes, not");
        std::fs::remove_file(&path).expect("writable");
        refused("missing");
        std::fs::write(&path, &good).expect("writable");
    }
    store.load(&manifest, 2).expect("in order again");
    // Rows of another table under an honest hash, and a digest that does not fit.
    let mut other = manifest.clone();
    let entries = other.layers[0].objects.iter().position(|o| o.path.contains("entries")).expect("some");
    let tracks = other.layers[0].objects.iter().position(|o| o.path.contains("tracks")).expect("some");
    let table = other.layers[0].objects[entries].table;
    other.layers[0].objects[tracks].table = table;
    assert!(matches!(store.load(&other, 1).err(), Some(Error::Corrupt { .. })));
    let mut other = manifest.clone();
    let additions = |other: &Manifest, layer: usize| {
        other.layers[layer].objects.iter().position(|o| o.path.contains("additions")).expect("some")
    };
    let (first, last) = (additions(&other, 0), additions(&other, 1));
    other.layers[0].objects[first] = other.layers[1].objects[last].clone();
    let told = store.load(&other, 1).err().expect("refused").to_string();
    assert!(told.contains("additions of no entry"), "{told}");
    let mut other = manifest.clone();
    other.digest.replace_range(..1, if other.digest.starts_with('0') { "1" } else { "0" });
    let told = store.load(&other, 1).err().expect("refused").to_string();
    assert!(told.contains("digest"), "{told}");
    let mut other = manifest.clone();
    other.layers.pop();
    assert!(matches!(store.load(&other, 1).err(), Some(Error::Corrupt { .. })));

    let name = folder.path().join(format!("manifests/{:020}.json", manifest.epoch));
    let good = std::fs::read_to_string(&name).expect("it is there");
    for at in 0..good.len() {
        let bytes = flipped(good.as_bytes(), at, &mut rng);
        std::fs::write(&name, &bytes).expect("writable");
        let shown =
            String::from_utf8_lossy(&bytes[at.saturating_sub(9)..bytes.len().min(at + 9)]).into_owned();
        let told = match store.manifest(manifest.epoch) {
            Err(error @ (Error::Corrupt { .. } | Error::Format { .. })) => error.to_string(),
            other => panic!("byte {at}, …{shown}…: {other:?}"),
        };
        assert!(told.contains(&format!("manifests/{:020}.json", manifest.epoch)), "{told}");
        if at % 100 == 0 {
            assert_eq!(in_order(&store).epoch, before.epoch);
        }
    }
    let format = format!("\"format\": {FORMAT}");
    // The first version had no hash of itself: a byte that says so does not get around it.
    std::fs::write(&name, good.replacen(&format, "\"format\": 1", 1)).expect("writable");
    assert!(matches!(store.manifest(manifest.epoch), Err(Error::Corrupt { .. })));
    std::fs::write(&name, good.replacen(&format, "\"format\": 9", 1)).expect("writable");
    let told = store.manifest(manifest.epoch).expect_err("refused").to_string();
    assert!(told.contains("format version 9"), "{told}");
    std::fs::write(&name, &good[..good.len() / 2]).expect("writable");
    assert!(matches!(store.manifest(manifest.epoch), Err(Error::Corrupt { .. })));
    let none = manifest.epoch + 1;
    assert!(matches!(store.manifest(none), Err(Error::Unknown(epoch)) if epoch == none));
    store.load(&store.manifest(before.epoch).expect("read"), 4).expect("in order");
}
