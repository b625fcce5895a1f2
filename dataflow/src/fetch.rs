//! Memory is far away. What is about to be read in many places is looked at in several of them first, so that all come
//! at the same time: one after the other, each would be waited for.

use std::hint::black_box;

/// Places that are looked at together: about as many as a processor waits for at a time.
pub const AT_ONCE: usize = 8;

/// Lines that are looked at in each place; a processor sees by then where they lead.
const LINES: usize = 16;
/// Bytes that come at a time, on most processors.
const LINE: usize = 64;

/// Looks at the beginning of all these places.
pub fn fetch<'a, T: Copy + Into<u64> + 'a>(places: impl Iterator<Item = &'a [T]>) {
    let mut all = 0;
    for place in places {
        for line in place.chunks(LINE / size_of::<T>()).take(LINES) {
            all ^= line[0].into();
        }
    }
    black_box(all);
}
