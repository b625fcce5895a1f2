//! Days of additions, by the `at` of events, and which of them is the newest.
//!
//! The engine has no clock: that a day has come is known from events alone. So the newest day is a function of
//! the log, and of nothing else.

use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;

/// So many events must have a day, or a later one, before it has come: one or two from a clock that is years ahead
/// must not make all real additions old.
pub const WITNESSES: usize = 3;

/// A day in UTC, as days since 1970; 0 is none: too old to count, or not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub u16);

/// The days of a playlist's tracks, in their order.
pub type Days = Box<[Day]>;

impl Day {
    /// Of a time in milliseconds since the Unix epoch. Up to 1970 it is none; after 2149 all are the last.
    pub fn of(at_ms: i64) -> Self {
        Day(at_ms.div_euclid(DAY_MS).clamp(0, u16::MAX.into()) as u16)
    }

    /// So many days earlier; none if there are not so many.
    pub fn before(self, days: u16) -> Self {
        Day(self.0.saturating_sub(days))
    }

    /// Its beginning, in milliseconds since the Unix epoch.
    pub fn start_ms(self) -> i64 {
        i64::from(self.0) * DAY_MS
    }
}

/// The latest days of events, of which the last is the newest day that has come. It never goes back, whatever is
/// removed: time does not either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest([Day; WITNESSES]);

impl Newest {
    /// An event of that day has added something.
    pub fn see(&mut self, day: Day) {
        let place = self.0.partition_point(|there| *there >= day);
        if place < WITNESSES {
            self.0[place..].rotate_right(1);
            self.0[place] = day;
        }
    }

    /// Takes over what others have seen.
    pub fn merge(&mut self, others: &Newest) {
        others.days().for_each(|day| self.see(day));
    }

    /// All that is known of it.
    pub fn days(&self) -> impl Iterator<Item = Day> {
        self.0.into_iter().filter(|day| *day != Day::default())
    }

    /// The newest day: that which [`WITNESSES`] events have reached. None before there are so many.
    pub fn day(&self) -> Day {
        self.0[WITNESSES - 1]
    }

    /// The first of the last so many days; none if there is no newest.
    pub fn first_of(&self, days: u16) -> Day {
        match self.day() {
            Day(0) => Day(0),
            day => Day(day.before(days.saturating_sub(1)).0.max(1)),
        }
    }
}

impl FromIterator<Day> for Newest {
    fn from_iter<I: IntoIterator<Item = Day>>(days: I) -> Self {
        let mut newest = Newest::default();
        days.into_iter().for_each(|day| newest.see(day));
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_by_the_clock_of_utc() {
        let days = [-1, 0, DAY_MS - 1, DAY_MS, 1_767_225_600_000, i64::MAX, i64::MIN].map(Day::of);
        assert_eq!(days.map(|day| day.0), [0, 0, 0, 1, 20_454, u16::MAX, 0]);
        assert_eq!(Day(20_454).start_ms(), 1_767_225_600_000);
        assert_eq!((Day(9).before(4), Day(3).before(4)), (Day(5), Day(0)));
    }

    #[test]
    fn a_few_events_from_the_future_do_not_make_it_the_present() {
        let mut newest = Newest::default();
        assert_eq!((newest.day(), newest.first_of(3)), (Day(0), Day(0)));
        [9, 7].into_iter().for_each(|day| newest.see(Day(day)));
        assert_eq!((newest.day(), newest.first_of(3)), (Day(0), Day(0)));
        newest.see(Day(8));
        assert_eq!((newest.day(), newest.first_of(3), newest.first_of(30)), (Day(7), Day(5), Day(1)));
        [8, 9, 9, 60_000, 60_000].into_iter().for_each(|day| newest.see(Day(day)));
        assert_eq!(newest.day(), Day(9));
        [3, 10].into_iter().for_each(|day| newest.see(Day(day)));
        assert_eq!(newest.day(), Day(10));
        newest.see(Day(59_999));
        assert_eq!(newest.day(), Day(59_999));
    }

    #[test]
    fn it_does_not_matter_who_has_seen_what() {
        let days: Vec<Day> = (0..100_u16).map(|n| Day(1 + n.wrapping_mul(7919) % 300)).collect();
        let all: Newest = days.iter().copied().collect();
        for parts in [1, 2, 7, 30] {
            let mut merged = Newest::default();
            (0..parts).for_each(|part| {
                merged.merge(&days.iter().copied().skip(part).step_by(parts).collect());
            });
            assert_eq!(merged, all);
        }
        let mut sorted = days;
        sorted.sort_unstable();
        assert_eq!(all.day(), sorted[sorted.len() - WITNESSES]);
        assert_eq!(all.days().collect::<Newest>(), all);
    }
}
