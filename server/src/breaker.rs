//! The circuit breaker: a bad record now and then is passed over, but many among the last ones mean that what
//! writes them, or what reads them, is wrong. Then reading stops before the damage grows.

use std::collections::VecDeque;

use parking_lot::Mutex;
use segue_connectors::log::Position;
use segue_dataflow::event::Rejection;

/// So many records, the last ones of all partitions together, are looked at.
pub const WINDOW: u64 = 10_000;

/// Counts the bad records among the last ones.
pub struct Breaker {
    /// So many of the window may be bad.
    most: usize,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    read: u64,
    /// Which of the records read were bad, by their number, within the window.
    bad: VecDeque<u64>,
}

/// Too many records are bad.
#[derive(Debug, thiserror::Error)]
#[error(
    "more than {most} of the last {WINDOW} records of the log are no events, the last at {position} ({rejection}): \
     this is no stray record, but what writes them is wrong, or this version of segue too old. Reading has \
     stopped there and nothing was lost. `segue dead-letters list` shows them. Mend the writer or \
     start the version that knows them; to pass over them, start with SEGUE__LIMITS__BAD_SHARE=1"
)]
pub struct Broken {
    most: usize,
    position: Position,
    rejection: Rejection,
}

impl Breaker {
    /// One that breaks when more than this share of the window is bad; 1 never does.
    pub fn new(share: f64) -> Self {
        Breaker { most: (share * WINDOW as f64).round() as usize, recent: Mutex::default() }
    }

    /// So many records were read, and these of them are bad, by their place among them.
    ///
    /// # Errors
    /// Names the bad record that was one too many.
    pub fn read(&self, records: usize, bad: &[(usize, Position, Rejection)]) -> Result<(), Broken> {
        let mut recent = self.recent.lock();
        let begin = recent.read;
        recent.read += records as u64;
        for (place, position, rejection) in bad {
            let number = begin + *place as u64;
            recent.bad.push_back(number);
            while recent.bad.front().is_some_and(|oldest| oldest + WINDOW <= number) {
                recent.bad.pop_front();
            }
            if recent.bad.len() > self.most {
                return Err(Broken { most: self.most, position: *position, rejection: rejection.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use segue_dataflow::event::decode;

    use super::*;

    /// Reads records one by one of which each `every`-th is bad; tells at which it broke.
    fn broke(breaker: &Breaker, every: u64, records: u64) -> Option<u64> {
        let rejection = decode(b"{").expect_err("no event");
        (0..records).find(|n| {
            let position = Position { partition: 0, offset: *n };
            let bad = (n % every == 0).then(|| (0, position, rejection.clone()));
            breaker.read(1, bad.as_slice()).is_err()
        })
    }

    #[test]
    fn it_breaks_at_the_first_record_over_the_share() {
        // 500 of any 10,000 in a row are within 5 %, however many follow.
        assert_eq!(broke(&Breaker::new(0.05), 20, 100_000), None);
        assert_eq!(broke(&Breaker::new(0.05), 1, 100_000), Some(500));
        assert_eq!(broke(&Breaker::new(0.05), 19, 100_000), Some(500 * 19));
        assert_eq!(broke(&Breaker::new(0.0), 50_000, 100_000), Some(0));
        assert_eq!(broke(&Breaker::new(1.0), 1, 100_000), None);
    }

    #[test]
    fn batches_count_as_their_records() {
        let rejection = decode(b"{").expect_err("no event");
        let breaker = Breaker::new(0.0001);
        let bad = |place: usize| (place, Position { partition: 1, offset: place as u64 }, rejection.clone());
        breaker.read(10, &[bad(9)]).expect("one");
        breaker.read(9_999, &[]).expect("none");
        breaker.read(1, &[bad(0)]).expect("the other has just left the window");
        let broken = breaker.read(10_000, &[bad(9_998), bad(9_999)]).expect_err("two").to_string();
        assert!(broken.contains("more than 1 of the last 10000"), "{broken}");
        assert!(broken.contains("the last at 1:9998 (malformed_json: "), "{broken}");
    }
}
