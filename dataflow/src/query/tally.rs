//! Sums by id: the inner loop of every recommendation.
//!
//! A table with open addressing, because ids are random already and nothing is ever taken out. It has only the place
//! of each id among the sums, and some bits to tell it from most others: most of what is looked at is in the
//! processor's nearest memory then.

use std::cell::Cell;

/// Sums by id.
#[derive(Default)]
pub struct Tally {
    /// The first `number` are in use, in the order in which they came; the others are (0, 0).
    sums: Vec<(u64, i64)>,
    number: usize,
    /// 0, or some bits of an id and, in the lowest bits, its place in `sums` from 1. At most half are taken.
    slots: Vec<u32>,
    /// The first 2^bits slots are in use: few ids stay near each other, whatever there was before.
    bits: u32,
}

/// Ids expected where it is not known how many there will be.
pub const SOME_IDS: usize = 1 << 13;

/// Slots that the smallest tally has.
const ROOM_MIN: usize = 16;

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
        let mut tally = SPARE.take().unwrap_or_default();
        tally.use_room_for(ids);
        let done = work(&mut tally);
        tally.clear();
        SPARE.set(Some(tally));
        done
    }

    /// An empty tally gets room for so many ids before it grows.
    fn use_room_for(&mut self, ids: usize) {
        self.bits = (2 * ids).max(ROOM_MIN).next_power_of_two().trailing_zeros();
        let slots = 1 << self.bits;
        if self.slots.len() < slots {
            self.slots.resize(slots, 0);
            self.sums.resize(slots / 2, (0, 0));
        }
    }

    fn clear(&mut self) {
        self.slots[..1 << self.bits].fill(0);
        self.sums[..self.number].fill((0, 0));
        self.number = 0;
    }

    /// Adds to the sum of an id.
    #[inline]
    pub fn add(&mut self, id: u64, value: i64) {
        *self.slot(id) += value;
    }

    /// The sum of an id, 0 at first.
    #[inline]
    pub fn slot(&mut self, id: u64) -> &mut i64 {
        let place = self.place(id);
        &mut self.sums[place].1
    }

    /// The place of an id, which it keeps: the next free one, counted from 0, if it has none yet.
    #[inline]
    pub fn place(&mut self, id: u64) -> usize {
        if self.number >> (self.bits - 1) != 0 {
            self.grow();
        }
        let slots = &mut self.slots[..1 << self.bits];
        let mask = slots.len() - 1;
        let spread = id.wrapping_mul(SPREAD);
        let (mark, mut at) = ((spread as u32) << self.bits, (spread >> (64 - self.bits)) as usize & mask);
        loop {
            let there = slots[at] as usize;
            if there == 0 {
                break;
            }
            let place = (there & mask) - 1;
            if there - place - 1 == mark as usize && self.sums[place].0 == id {
                return place;
            }
            at = (at + 1) & mask;
        }
        slots[at] = mark | (self.number as u32 + 1);
        self.sums[self.number].0 = id;
        self.number += 1;
        self.number - 1
    }

    // Apart from the loop that adds, which is shorter then.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let all = self.sums[..self.number].to_vec();
        self.clear();
        self.use_room_for(2 * all.len());
        all.into_iter().for_each(|(id, sum)| self.add(id, sum));
    }

    /// All ids with their sums, by place.
    pub fn all(&self) -> &[(u64, i64)] {
        &self.sums[..self.number]
    }

    /// All ids with a positive sum, in no useful order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.all().iter().filter(|(_, sum)| *sum > 0).map(|(id, sum)| (*id, *sum as u64))
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
            let (mut twin, mut places) = (BTreeMap::<u64, i64>::new(), BTreeMap::new());
            let mut sums: Vec<(u64, u64)> = Tally::with(4, |tally| {
                for _ in 0..50_000 {
                    // Small ones, and such as a worker or a sample has: alike in their low or high bits.
                    let n = rng.random_range(0..ids);
                    let id = [n, n << 40, (n << 20) | 7, u64::MAX - n][(rng.next_u32() % 4) as usize];
                    let value = rng.random_range(-50..60);
                    tally.add(id, value);
                    *twin.entry(id).or_default() += value;
                    let place = tally.place(id);
                    assert_eq!(tally.all()[place], (id, twin[&id]));
                    assert_eq!(*places.entry(id).or_insert(place), place);
                }
                assert_eq!(tally.all().len(), twin.len());
                tally.iter().collect()
            });
            sums.sort_unstable();
            let expected = twin.into_iter().filter(|(_, sum)| *sum > 0).map(|(id, sum)| (id, sum as u64));
            assert_eq!(sums, expected.collect::<Vec<_>>());
        }
    }
}
