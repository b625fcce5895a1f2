//! The faulty log does to each append what its script says, and to nothing else.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but clippy does not see that all of this file is one"
)]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use segue_connectors::faulty::{Faulty, Step};
use segue_connectors::log::{Error, Log, Record};
use segue_connectors::memory::Memory;

const THREE: [Record<'static>; 3] = [
    Record { key: "k", payload: Bytes::from_static(b"1") },
    Record { key: "k", payload: Bytes::from_static(b"2") },
    Record { key: "k", payload: Bytes::from_static(b"3") },
];

fn faulty(script: &[Step]) -> Faulty {
    let log = Faulty::new(Arc::new(Memory::new(NonZeroU32::MIN)));
    log.then(script.iter().copied());
    log
}

#[test]
fn each_step_has_its_effect_and_its_answer() {
    for (step, written, may_have) in [
        (Step::Pass, 3, None),
        (Step::FailBefore, 0, Some(false)),
        (Step::FailAfter, 3, Some(true)),
        (Step::Torn(0), 0, Some(true)),
        (Step::Torn(2), 2, Some(true)),
        (Step::Torn(9), 3, Some(true)),
        (Step::Full, 0, Some(false)),
    ] {
        let log = faulty(&[step]);
        let answer = log.append(&THREE);
        assert_eq!(
            answer.err().map(|error| matches!(error, Error::MaybeAppended { .. })),
            may_have,
            "{step:?}"
        );
        assert_eq!(log.end(0), Ok(written), "{step:?}");
    }
}

#[test]
fn a_full_log_stays_full_and_the_others_recover() {
    let log = faulty(&[Step::FailBefore, Step::Pass, Step::Full, Step::Pass]);
    assert!(matches!(log.append(&THREE), Err(Error::NotAppended { .. })));
    assert_eq!(log.append(&THREE).unwrap().len(), 3);
    for _ in 0..3 {
        assert!(matches!(log.append(&THREE), Err(Error::Unwritable { .. })));
    }
    assert_eq!(log.end(0), Ok(3));
}

#[test]
fn a_slow_append_has_no_effect_before_it_is_released() {
    let log = faulty(&[Step::Slow]);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| log.append(&THREE));
        assert!(log.wait_held(1, Duration::from_secs(60)));
        assert_eq!(log.end(0), Ok(0));
        assert_eq!(log.append(&THREE).unwrap()[0].offset, 0, "others pass it");
        log.release();
        assert_eq!(slow.join().unwrap().unwrap()[0].offset, 3);
    });
}

#[test]
fn a_close_releases_what_is_held() {
    let log = faulty(&[Step::Slow]);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| log.append(&THREE));
        assert!(log.wait_held(1, Duration::from_secs(60)));
        log.close();
        assert_eq!(slow.join().unwrap(), Err(Error::Closed));
    });
}

#[test]
fn a_seed_is_a_script() {
    let outcomes = |seed| {
        let log = faulty(&[]);
        log.then_random(seed, 400, 25);
        let failed: Vec<bool> = (0..400).map(|_| log.append(&THREE).is_err()).collect();
        (failed, log.end(0).unwrap())
    };
    assert_eq!(outcomes(1), outcomes(1));
    assert_ne!(outcomes(1), outcomes(2));
    let failures = outcomes(1).0.iter().filter(|failed| **failed).count();
    assert!((70..130).contains(&failures), "{failures} of 400 failed, about 100 were asked for");
}
