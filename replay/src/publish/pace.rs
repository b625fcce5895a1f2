//! When an event is due, and waiting for it.
//!
//! The decision ([`Pace::due`]) knows no clock; the waiting ([`Clock`]) knows no events.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Due times are rounded up to multiples of this, so that a paced stream still goes in batches.
pub const TICK: Duration = Duration::from_millis(20);
/// An interrupt is noticed within this time.
const INTERRUPT_CHECK: Duration = Duration::from_millis(50);

/// How fast events go out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the target takes them.
    Unpaced,
    /// So many events a second.
    Rate(f64),
    /// By their `at`, so many times as fast as they happened.
    Speed {
        /// 1 is real time.
        factor: f64,
        /// `at` of the first event, once that is known.
        first_at_ms: Option<i64>,
    },
}

impl Pace {
    /// When the `nth` event (from 0) is due, counted from the start; none if at once.
    pub fn due(&mut self, nth: u64, at_ms: i64) -> Option<Duration> {
        let due_s = match self {
            Pace::Unpaced => return None,
            Pace::Rate(per_s) => nth as f64 / *per_s,
            Pace::Speed { factor, first_at_ms } => {
                let first = *first_at_ms.get_or_insert(at_ms);
                at_ms.saturating_sub(first) as f64 / 1000.0 / *factor
            }
        };
        let ticks = (due_s / TICK.as_secs_f64()).ceil();
        // An `at` before the first one is due at once; one beyond all time never.
        Some(TICK.saturating_mul(if ticks > 0.0 { ticks as u32 } else { 0 }))
    }
}

/// Time since a start, and waiting.
pub trait Clock {
    /// Since the start.
    fn elapsed(&self) -> Duration;

    /// Returns at `deadline` (counted from the start), or soon after `interrupted` is set.
    fn wait_until(&mut self, deadline: Duration, interrupted: &AtomicBool);
}

/// The real clock, started when made.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock(Instant::now())
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait_until(&mut self, deadline: Duration, interrupted: &AtomicBool) {
        while !interrupted.load(Ordering::Relaxed) {
            match deadline.checked_sub(self.elapsed()) {
                None | Some(Duration::ZERO) => return,
                Some(left) => thread::park_timeout(left.min(INTERRUPT_CHECK)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times() {
        let mut rate = Pace::Rate(100.0);
        let ms = |due: Option<Duration>| due.map(|d| d.as_millis());
        assert_eq!([0, 1, 2, 3, 100].map(|n| ms(rate.due(n, 0))), [0, 20, 20, 40, 1000].map(Some));
        let mut speed = Pace::Speed { factor: 60.0, first_at_ms: None };
        let minute = 60_000;
        assert_eq!(
            [5 * minute, 6 * minute, 4 * minute, 65 * minute].map(|at| ms(speed.due(0, at))),
            [0, 1000, 0, 60_000].map(Some)
        );
        assert_eq!(Pace::Unpaced.due(7, 7), None);
        let mut slow = Pace::Rate(f64::MIN_POSITIVE);
        assert!(slow.due(1, 0) > Some(Duration::from_secs(86_400 * 365)));
    }
}
