//! A store that fails at any one step: afterwards the newest snapshot that can be read is the old or the new
//! one, never a mix, and the next attempt makes it good.

use std::sync::Arc;

use object_store::memory::InMemory;
use segue_connectors::snapshot::{Error, Fault, Faulty, Manifest, Store};

use crate::running::{Running, loaded, runtime};

/// As recovery does: the newest that is in order.
fn newest(store: &Store) -> Manifest {
    let in_order = |epoch| store.manifest(epoch).and_then(|m| store.load(&m, 1).map(|_| m)).ok();
    store.epochs().expect("listed").into_iter().find_map(in_order).expect("one is in order")
}

#[test]
fn the_old_state_or_the_new_at_every_step() {
    let runtime = runtime();
    let (mut failed, mut succeeded) = (0, 0);
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Torn, Fault::Refused] {
        for step in 0..12 {
            let objects = Arc::new(Faulty::new(Arc::new(InMemory::new())));
            let path = object_store::path::Path::from("p");
            let mut store = Store::on(objects.clone(), path, runtime.handle().clone());
            store.claim().expect("it works");
            let mut running = Running::start(1, step, None, 0);
            running.feed(60);
            let old = running.write(&store, true, None).expect("written");
            let old_state = running.state();
            running.feed(60);
            objects.then((0..step).map(|_| Fault::Pass).chain([fault]));
            let attempt = running.write(&store, step % 2 == 0, Some(&old));
            if attempt.is_ok() {
                // Deleting comes after, and may be what fails: nothing may depend on it.
                let _ = store.retain(2);
            }
            let there = newest(&store);
            match &attempt {
                Ok(new) => {
                    succeeded += 1;
                    assert_eq!(there, *new);
                    assert_eq!(loaded(&store, &there, 2), running.state(), "{fault:?} at {step}");
                }
                Err(Error::Store { .. }) => {
                    failed += 1;
                    let state = loaded(&store, &there, 2);
                    let is_old = there == old && state == old_state;
                    assert!(is_old || state == running.state(), "{fault:?} at {step}");
                }
                Err(other) => panic!("{fault:?} at {step}: {other}"),
            }
            while objects.left() > 0 {
                // Uses up what is left of the script.
                let _ = store.claim();
            }
            // One that was torn left a newer generation behind: that writer has to start again.
            store.claim().expect("it works");
            running.feed(30);
            let base = attempt.ok().unwrap_or(old);
            let next = running.write(&store, false, Some(&base)).expect("written");
            assert_eq!(
                loaded(&store, &newest(&store), 2),
                running.state(),
                "{fault:?} at {step}, afterwards"
            );
            assert_eq!(newest(&store), next);
            running.stop();
        }
    }
    assert!(failed >= 10 && succeeded >= 10, "{failed} failed, {succeeded} succeeded");
}
