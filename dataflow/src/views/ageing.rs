//! Which part of a book is next to be swept of days that are not kept any more.

use super::parts::PARTS;
use crate::day::Day;

/// A sweep, a part at a time, that begins again with each day that comes.
#[derive(Default)]
pub struct Ageing {
    first: Day,
    swept: usize,
}

impl Ageing {
    /// The first day that is kept.
    pub fn first(&self) -> Day {
        self.first
    }

    /// Days before `first` need not be kept any more. Gives the next of the [`PARTS`]; none once all have been given.
    pub fn next(&mut self, first: Day) -> Option<usize> {
        if first > self.first {
            *self = Ageing { first, swept: 0 };
        }
        let part = Some(self.swept).filter(|part| *part < PARTS);
        self.swept += usize::from(part.is_some());
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_swept_once_a_day() {
        let mut ageing = Ageing::default();
        for first in [3, 4, 9].map(Day) {
            assert!((0..PARTS).all(|part| ageing.next(first) == Some(part)));
            assert_eq!((ageing.next(first), ageing.next(Day(2)), ageing.first()), (None, None, first));
        }
        assert_eq!(
            (ageing.next(Day(10)), ageing.next(Day(10)), ageing.next(Day(11))),
            (Some(0), Some(1), Some(0))
        );
    }
}
