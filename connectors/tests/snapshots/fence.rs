//! Two servers on one prefix: the older one stops.

use std::sync::Arc;

use jiff::Timestamp;
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
    let mut running = Running::start(1, 1, None, 0);
    running.feed(50);
    let snapshot = running.snapshot(true);
    // It tells rows once.
    snapshot.rows(|_, _| Ok::<_, Error>(())).expect("told");
    let write = |second| store.write(&snapshot, None, Timestamp::from_second(second).expect("a time"), None);
    let first = write(1).expect("written");
    // The same once more says the same, so it is taken for its own; another manifest of that epoch is not.
    assert_eq!(write(1).expect("there already"), first);
    assert!(matches!(write(2), Err(Error::Taken { .. })));
    assert_eq!(store.manifest(first.epoch).expect("read"), first);
    drop(snapshot);
    running.stop();
}
