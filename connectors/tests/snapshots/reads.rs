//! A store that fails while a snapshot is read, or takes its time: recovery says what was asked, or goes on from the
//! snapshot before; what is slow holds up nobody else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use object_store::memory::InMemory;
use object_store::path::Path;
use segue_connectors::snapshot::{Error, Fault, Faulty, Manifest, Store};
use tokio::runtime::Runtime;

use crate::running::{Running, State, loaded, runtime};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store with two snapshots that share nothing, and the states of them.
fn two(runtime: &Runtime) -> (Arc<Faulty>, Store, [(Manifest, State); 2]) {
    let objects = Arc::new(Faulty::new(Arc::new(InMemory::new())));
    let mut store = Store::on(objects.clone(), Path::from("p"), runtime.handle().clone());
    store.claim().expect("it works");
    let mut running = Running::start(1, 9, None, 0);
    let both = [(); 2].map(|()| {
        running.feed(200);
        (running.write(&store, true, None).expect("written"), running.state())
    });
    running.stop();
    (objects, store, both)
}

/// As recovery does; tells what it passed over, too.
fn recovered(store: &Store) -> Result<(Manifest, Vec<String>), Error> {
    let mut passed_over = Vec::new();
    for epoch in store.epochs()? {
        match store.manifest(epoch).and_then(|manifest| store.load(&manifest, 2).map(|_| manifest)) {
            Ok(manifest) => return Ok((manifest, passed_over)),
            Err(error) if error.is_about_one_snapshot() => passed_over.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    panic!("none is in order: {passed_over:?}");
}

#[test]
fn a_read_that_fails_is_named_and_one_that_is_cut_short_leads_to_the_snapshot_before() {
    let runtime = runtime();
    let (objects, store, [(old, old_state), (new, new_state)]) = two(&runtime);
    // The list, the manifest, five objects.
    let reads = 2 + new.objects().count();
    assert_eq!(reads, 7);
    let name = |manifest: &Manifest| format!("manifests/{:020}.json", manifest.epoch);
    let of_new = |text: &str| text.contains(&name(&new)) || new.objects().any(|o| text.contains(&o.path));
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Torn, Fault::Refused] {
        for step in 0..reads {
            objects.then_reads((0..step).map(|_| Fault::Pass).chain([fault]));
            let recovered = recovered(&store);
            assert_eq!(objects.left(), 0, "{fault:?} at {step}");
            match recovered {
                Err(error @ Error::Store { .. }) => {
                    let told = error.to_string();
                    let asked = told.strip_prefix("object store: ").expect("it says where");
                    match step {
                        0 => assert!(asked.starts_with("listing manifests: "), "{told}"),
                        _ => assert!(asked.starts_with("reading ") && of_new(asked), "{told}"),
                    }
                    assert!(fault != Fault::Torn || step == 0, "{told}");
                    assert!(told.contains("as the script says"), "{told}");
                }
                Ok((manifest, passed_over)) => {
                    assert!(fault == Fault::Torn && step > 0, "{fault:?} at {step}: {passed_over:?}");
                    assert!(passed_over.len() == 1 && of_new(&passed_over[0]), "{passed_over:?}");
                    assert_eq!(manifest, old);
                }
                Err(error) => panic!("{fault:?} at {step}: {error}"),
            }
            // What failed once is not what is there.
            assert_eq!(recovered_cleanly(&store), new, "{fault:?} at {step}, afterwards");
        }
    }
    assert_eq!((loaded(&store, &old, 2), loaded(&store, &new, 1)), (old_state, new_state));
}

fn recovered_cleanly(store: &Store) -> Manifest {
    let (manifest, passed_over) = recovered(store).expect("the store works");
    assert_eq!(passed_over, Vec::<String>::new());
    manifest
}

#[test]
fn a_slow_read_is_waited_for_and_holds_up_nobody_else() {
    let runtime = runtime();
    let (objects, store, [(old, _), (new, _)]) = two(&runtime);
    for step in 0..6 {
        objects.then_reads((0..step).map(|_| Fault::Pass).chain([Fault::Slow]));
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| recovered_cleanly(&store));
            assert!(objects.wait_held(step + 1, PATIENCE));
            store.load(&old, 1).expect("others pass it");
            assert!(!slow.is_finished(), "step {step}");
            objects.release();
            assert_eq!(slow.join().expect("no panic"), new, "step {step}");
        });
    }
}

#[test]
fn a_slow_write_is_no_snapshot_before_it_is_released() {
    let runtime = runtime();
    let (objects, store, [_, (old, old_state)]) = two(&runtime);
    let mut running = Running::start(1, 4, Some(store.load(&old, 1).expect("in order")), old.next[0]);
    // Four objects and the manifest, the last of which is all that counts.
    for step in 0..5 {
        let before = store.epochs().expect("listed");
        let newest = store.manifest(before[0]).expect("read");
        running.feed(20);
        objects.then((0..step).map(|_| Fault::Pass).chain([Fault::Slow]));
        let snapshot = running.snapshot(true);
        let written = std::thread::scope(|scope| {
            let slow = scope.spawn(|| store.write(&snapshot, None, Timestamp::UNIX_EPOCH, None));
            assert!(objects.wait_held(step + 1, PATIENCE));
            assert_eq!(store.epochs().expect("listed"), before, "step {step}");
            assert_eq!(recovered_cleanly(&store), newest, "step {step}");
            assert!(!slow.is_finished(), "step {step}");
            objects.release();
            slow.join().expect("no panic").expect("written")
        });
        snapshot.keep();
        assert_eq!((recovered_cleanly(&store), objects.left()), (written.clone(), 0), "step {step}");
        assert_eq!(loaded(&store, &written, 2), running.state(), "step {step}");
    }
    running.stop();
    assert_eq!(loaded(&store, &old, 1), old_state);
}
