//! Sums by id: the inner loop of every recommendation.
//!
//! A table with open addressing, because ids are random already and nothing is ever taken out: twice as
//! fast as a general map. Which places are taken is listed apart: to look at each place whether it is costs a
//! wrong guess of the processor's at every other one.

use std::cell::Cell;

/// Sums by id.
pub struct Tally {
    /// (id, sum); of those in use at most half are taken. Id 0 stands for a free place.
    slots: Vec<(u64, i64)>,
    /// The first 2^bits slots are in use: few ids stay near each other, whatever there was before.
    bits: u32,
    taken: Vec<u32>,
    /// The sum of the id that is 0 itself.
    zero: i64,
}

/// Ids expected where it is not known how many there will be.
pub const SOME_IDS: usize = 1 << 13;

thread_local! {
    /// One tally is in use at a time.
    static SPARE: Cell<Option<Tally>> = const { Cell::new(None) };
}

/// Spreads ids of which all low bits, or all high ones, are alike: 2^64 / golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Tally {
    /// Runs `work` with an empty tally, whose memory this thread keeps for the next. About so many `ids` are
    /// expected: it grows if there are more.
    pub fn with<T>(ids: usize, work: impl FnOnce(&mut Tally) -> T) -> T {
        let mut tally =
            SPARE.take().unwrap_or_else(|| Tally { slots: Vec::new(), bits: 0, taken: Vec::new(), zero: 0 });
        tally.use_room_for(ids);
        let done = work(&mut tally);
        tally.clear();
        SPARE.set(Some(tally));
        done
    }

    /// An empty tally gets room for so many ids before it grows.
    fn use_room_for(&mut self, ids: usize) {
        self.bits = (2 * ids).max(16).next_power_of_two().trailing_zeros();
        if self.slots.len() < 1 << self.bits {
            self.slots.resize(1 << self.bits, (0, 0));
        }
    }

    fn clear(&mut self) {
        self.taken.drain(..).for_each(|at| self.slots[at as usize] = (0, 0));
        self.zero = 0;
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
        if self.taken.len() >> (self.bits - 1) != 0 {
            self.grow();
        }
        let slots = &mut self.slots[..1 << self.bits];
        let mask = slots.len() - 1;
        let mut at = (id.wrapping_mul(SPREAD) >> (64 - self.bits)) as usize & mask;
        while slots[at].0 != id {
            if slots[at].0 == 0 {
                slots[at] = (id, 0);
                self.taken.push(at as u32);
                break;
            }
            at = (at + 1) & mask;
        }
        &mut slots[at].1
    }

    fn grow(&mut self) {
        let (all, zero): (Vec<_>, _) = (self.taken().collect(), self.zero);
        self.clear();
        self.use_room_for(2 * all.len());
        all.into_iter().for_each(|(id, sum)| self.add(id, sum));
        self.zero = zero;
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
        for ids in [1, 20_000, 5, 300, 20_000_u64] {
            let mut twin = BTreeMap::<u64, i64>::new();
            let mut sums: Vec<(u64, u64)> = Tally::with(4, |tally| {
                for _ in 0..50_000 {
                    // Small ones, and such as a worker or a sample has: alike in their low or high bits.
                    let n = rng.random_range(0..ids);
                    let id = [n, n << 40, (n << 20) | 7, u64::MAX - n][(rng.next_u32() % 4) as usize];
                    let value = rng.random_range(-50..60);
                    tally.add(id, value);
                    *twin.entry(id).or_default() += value;
                }
                tally.iter().collect()
            });
            sums.sort_unstable();
            let expected = twin.into_iter().filter(|(_, sum)| *sum > 0).map(|(id, sum)| (id, sum as u64));
            assert_eq!(sums, expected.collect::<Vec<_>>());
        }
    }
}
