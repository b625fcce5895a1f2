//! Sums by id: the inner loop of every recommendation.
//!
//! A table with open addressing, because ids are random already and nothing is ever taken out: twice as
//! fast as a general map. Which places are taken is listed apart: to look at each place whether it is costs a
//! wrong guess of the processor's at every other one.

use std::cell::Cell;

/// Sums by id.
pub struct Tally {
    /// (id, sum); a power of two of them, at most half of them taken. Id 0 stands for a free place.
    slots: Vec<(u64, i64)>,
    taken: Vec<u32>,
    /// The sum of the id that is 0 itself.
    zero: i64,
}

/// Ids that there is room for from the start: many votes need more, but a table stays as large as it was.
const SPARE_IDS: usize = 1 << 13;

thread_local! {
    /// One tally is in use at a time.
    static SPARE: Cell<Option<Tally>> = const { Cell::new(None) };
}

/// Spreads ids of which all low bits, or all high ones, are alike: 2^64 / golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Tally {
    /// Runs `work` with an empty tally, whose memory this thread keeps for the next.
    pub fn with<T>(work: impl FnOnce(&mut Tally) -> T) -> T {
        let mut tally = SPARE.take().unwrap_or_else(|| Tally::with_room(SPARE_IDS));
        let done = work(&mut tally);
        tally.taken.drain(..).for_each(|at| tally.slots[at as usize] = (0, 0));
        tally.zero = 0;
        SPARE.set(Some(tally));
        done
    }

    /// With room for so many ids before it grows.
    fn with_room(ids: usize) -> Self {
        let slots = vec![(0, 0); (2 * ids).next_power_of_two().max(16)];
        Tally { taken: Vec::with_capacity(slots.len() / 2), slots, zero: 0 }
    }

    /// Adds to the sum of an id.
    #[inline]
    pub fn add(&mut self, id: u64, value: i64) {
        *self.slot(id) += value;
    }

    /// The sum of an id, 0 at first.
    #[inline]
    pub fn slot(&mut self, id: u64) -> &mut i64 {
        if id == 0 {
            return &mut self.zero;
        }
        if 2 * self.taken.len() >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = (id.wrapping_mul(SPREAD) >> (64 - self.slots.len().trailing_zeros())) as usize & mask;
        while self.slots[at].0 != id {
            if self.slots[at].0 == 0 {
                self.slots[at] = (id, 0);
                self.taken.push(at as u32);
                break;
            }
            at = (at + 1) & mask;
        }
        &mut self.slots[at].1
    }

    fn grow(&mut self) {
        let mut larger = Tally::with_room(self.slots.len());
        self.taken().for_each(|(id, sum)| larger.add(id, sum));
        (self.slots, self.taken) = (larger.slots, larger.taken);
    }

    fn taken(&self) -> impl Iterator<Item = (u64, i64)> {
        self.taken.iter().map(|at| self.slots[*at as usize])
    }

    /// All ids with a positive sum, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let ids = self.taken().chain([(0, self.zero)]);
        ids.filter(|(_, sum)| *sum > 0).map(|(id, sum)| (id, sum as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn it_equals_a_map() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for ids in [1, 5, 300, 20_000_u64] {
            let (mut tally, mut twin) = (Tally::with_room(4), BTreeMap::<u64, i64>::new());
            for _ in 0..50_000 {
                // Small ones, and such as a worker or a sample has: alike in their low or high bits.
                let n = rng.random_range(0..ids);
                let id = [n, n << 40, (n << 20) | 7, u64::MAX - n][(rng.next_u32() % 4) as usize];
                let value = rng.random_range(-50..60);
                tally.add(id, value);
                *twin.entry(id).or_default() += value;
            }
            let mut sums: Vec<(u64, u64)> = tally.iter().collect();
            sums.sort_unstable();
            let expected = twin.into_iter().filter(|(_, sum)| *sum > 0).map(|(id, sum)| (id, sum as u64));
            assert_eq!(sums, expected.collect::<Vec<_>>());
        }
    }
}
