//! Two servers on one prefix: the older one stops.

use std::sync::Arc;

use object_store::memory::InMemory;
use segue_connectors::snapshot::Error;

use crate::running::{Running, loaded, runtime, store};

#[test]
fn the_older_of_two_writers_is_fenced() {
    let (runtime, objects) = (runtime(), Arc::new(InMemory::new()));
    let old = store(objects.clone(), &runtime);
    let mut running = Running::start(1, 1, None, 0);
    running.feed(50);
    let first = running.write(&old, true, None).expect("written");
    let new = store(objects, &runtime);
    assert!(matches!(old.check_generation(), Err(Error::Fenced { own: 1, newer: 2 })));
    running.feed(50);
    let refused = running.write(&old, false, Some(&first)).expect_err("fenced");
    assert!(matches!(refused, Error::Fenced { own: 1, newer: 2 }), "{refused}");
    assert!(matches!(old.retain(2), Err(Error::Fenced { .. })));
    let second = running.write(&new, false, Some(&first)).expect("written");
    assert_eq!((second.generation, new.epochs().expect("listed").len()), (2, 2));
    assert_eq!(loaded(&new, &second, 1), running.state());
    running.stop();
}

#[test]
fn there_are_never_two_manifests_of_one_epoch() {
    let (runtime, objects) = (runtime(), Arc::new(InMemory::new()));
    let store = store(objects, &runtime);
    let [mut one, mut other] = [1, 2].map(|seed| Running::start(1, seed, None, 0));
    one.feed(50);
    let snapshot = one.snapshot(true);
    let first = store.write(&snapshot, None, jiff::Timestamp::UNIX_EPOCH, None).expect("written");
    // The same once more says the same, so it is taken for its own.
    assert_eq!(
        store.write(&snapshot, None, jiff::Timestamp::UNIX_EPOCH, None).expect("there already"),
        first
    );
    drop(snapshot);
    // Another state of the same epoch, which a clock that stands still makes likely.
    while other.snapshot(true).as_of() < first.epoch {
        other.feed(1);
    }
    let snapshot = other.snapshot(true);
    if snapshot.as_of() == first.epoch {
        let refused = store.write(&snapshot, None, jiff::Timestamp::UNIX_EPOCH, None).expect_err("taken");
        assert!(matches!(refused, Error::Taken { .. }), "{refused}");
    }
    drop(snapshot);
    one.stop();
    other.stop();
}
