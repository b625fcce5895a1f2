//! Where the lists of a batch begin.
//!
//! Differential notes for each value where its updates begin. Nearly all values have the one update that the value
//! before them has, or one of their own: the note is the one before, or one more. So there is a bit for each, where
//! a number would make a third of an arrangement, and as much again to find it at once.

use differential_dataflow::trace::implementations::{BatchContainer, OffsetList};

/// Offsets of a block.
const BLOCK: usize = 32;

/// Offsets, never descending.
pub enum Offsets {
    /// From zero on, each the one before or one more.
    Steps(Steps),
    /// Any.
    List(OffsetList),
}

/// A bit for each offset: whether it is one more than the one before.
#[derive(Default)]
pub struct Steps {
    /// Bits in the lower half; in the upper, how many are set in all blocks before.
    blocks: Vec<u64>,
    length: usize,
    last: u32,
}

impl Steps {
    /// False if the offset is not one that can follow.
    fn push(&mut self, offset: usize) -> bool {
        let (place, step) = (self.length, offset.wrapping_sub(self.last as usize));
        if step > usize::from(place > 0) || offset > u32::MAX as usize {
            return false;
        }
        if place.is_multiple_of(BLOCK) {
            self.blocks.push(u64::from(self.last) << BLOCK);
        }
        if let Some(block) = self.blocks.last_mut() {
            *block |= (step as u64) << (place % BLOCK);
        }
        (self.length, self.last) = (place + 1, offset as u32);
        true
    }

    /// How many bits are set up to this place.
    #[inline]
    fn index(&self, place: usize) -> usize {
        let block = self.blocks[place / BLOCK];
        let (before, bits) = ((block >> BLOCK) as usize, block as u32);
        // None, most often, and not every processor counts bits at once.
        if bits == 0 { before } else { before + (bits << (BLOCK - 1 - place % BLOCK)).count_ones() as usize }
    }
}

impl Default for Offsets {
    fn default() -> Self {
        Offsets::Steps(Steps::default())
    }
}

impl FromIterator<usize> for Offsets {
    fn from_iter<I: IntoIterator<Item = usize>>(all: I) -> Self {
        let mut offsets = Offsets::default();
        all.into_iter().for_each(|offset| offsets.push_ref(offset));
        offsets
    }
}

impl BatchContainer for Offsets {
    type Owned = usize;
    type ReadItem<'a> = usize;

    fn into_owned(item: usize) -> usize {
        item
    }

    fn reborrow<'b, 'a: 'b>(item: usize) -> usize {
        item
    }

    fn push_ref(&mut self, offset: usize) {
        match self {
            Offsets::List(list) => list.push(offset),
            Offsets::Steps(steps) => {
                if !steps.push(offset) {
                    let mut list = OffsetList::with_capacity(0);
                    (0..steps.length).for_each(|place| list.push(steps.index(place)));
                    list.push(offset);
                    *self = Offsets::List(list);
                }
            }
        }
    }

    fn push_own(&mut self, offset: &usize) {
        self.push_ref(*offset);
    }

    fn clear(&mut self) {
        *self = Offsets::default();
    }

    /// Nothing is set aside: of which kind they will be is not known.
    fn with_capacity(_size: usize) -> Self {
        Offsets::default()
    }

    fn merge_capacity(_one: &Self, _other: &Self) -> Self {
        Offsets::default()
    }

    #[inline]
    fn index(&self, index: usize) -> usize {
        match self {
            Offsets::Steps(steps) => steps.index(index),
            Offsets::List(list) => list.index(index),
        }
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            Offsets::Steps(steps) => steps.length,
            Offsets::List(list) => list.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn comes_back(all: &[usize]) -> Offsets {
        let offsets: Offsets = all.iter().copied().collect();
        assert_eq!(offsets.len(), all.len());
        assert_eq!((0..all.len()).map(|place| offsets.index(place)).collect::<Vec<_>>(), all);
        assert_eq!(offsets.last(), all.last().copied());
        offsets
    }

    #[test]
    fn every_offset_comes_back() {
        let few: [&[usize]; 7] =
            [&[], &[0], &[0, 0, 0], &[0, 1, 1, 2, 2], &[5, 5], &[0, 1, 3, 3], &[0, 0, 1 << 33, 1 << 33]];
        few.into_iter().for_each(|all| drop(comes_back(all)));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for n in 0..60 {
            // Now and then a larger step, in some of them.
            let (share, larger) = ([0.001, 0.1, 0.5, 1.0][n % 4], n % 3 == 0);
            let mut all = vec![0];
            for _ in 0..rng.random_range(0..3_000) {
                let step = usize::from(rng.random_bool(share));
                let more = if larger && rng.random_bool(0.001) { 2 } else { 0 };
                all.push(all[all.len() - 1] + step + more);
            }
            let is_steps = all.windows(2).all(|pair| pair[1] - pair[0] < 2);
            let mut offsets = comes_back(&all);
            assert_eq!(matches!(offsets, Offsets::Steps(_)), is_steps);
            offsets.clear();
            assert!(offsets.is_empty());
        }
    }

    #[test]
    fn two_bits_for_each() {
        let offsets: Offsets = std::iter::once(0).chain(std::iter::repeat_n(1, 1_000_000)).collect();
        let Offsets::Steps(Steps { blocks, .. }) = offsets else { panic!("a list") };
        assert_eq!(blocks.len(), 31_251);
    }
}
