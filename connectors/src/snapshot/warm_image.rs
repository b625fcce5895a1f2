//! Warm images: the columns of a Parquet file as they lie in memory, through abomonation. The one place of the
//! project that has `unsafe` in it.
//!
//! abomonation is unsound in general (RUSTSEC-2021-0120): it writes values as they lie in memory, and takes
//! bytes for values. Here that is held within bounds:
//! - the only type is `Vec<Vec<u64>>`, which has no padding, and no bits that are not a `u64`;
//! - the bytes are those that were written, which whoever calls has made sure of by their SHA-256;
//! - they were written by a program in which a `Vec` lies in memory as in this one, which [`stamp`] tells;
//! - the buffer is one of `u64`, so all that is in it is aligned: every part of the image is whole words.
//!
//! `make miri` runs its tests under Miri with the rules of Tree Borrows, where they pass; those of Stacked Borrows
//! do not allow abomonation's `decode` whatever it is given, since it turns a reference to one byte into one to more.
//!
//! The addresses in an image are those of the program that wrote it: decoding replaces each before it is used.

use bytemuck::{cast_slice, cast_slice_mut};

/// Columns, each of whole words.
pub type Words = Vec<Vec<u64>>;

/// How a `Vec` lies in memory here, and what else an image depends on. Images with another stamp are not read.
pub fn stamp() -> String {
    let mut probe: Words = vec![Vec::with_capacity(5)];
    probe[0].extend([7, 8, 9]);
    let mut words = [0_u64; 6];
    // Length and capacity where they lie; the addresses differ from run to run.
    if let Some(image) = encode(&probe).get(..size_of_val(&words)) {
        cast_slice_mut(&mut words).copy_from_slice(image);
    }
    let place = |wanted| words[3..].iter().position(|word| *word == wanted).unwrap_or(9);
    let (length, capacity) = (place(3), place(5));
    let order = if cfg!(target_endian = "little") { "le" } else { "be" };
    format!("1-{}-{order}-{length}{capacity}", size_of::<Vec<u64>>())
}

/// The image of columns.
#[expect(unsafe_code, reason = "see the head of this file")]
pub fn encode(words: &Words) -> Vec<u8> {
    let mut image = Vec::with_capacity(abomonation::measure(words));
    // SAFETY: `Vec<Vec<u64>>` and what it owns are written as bytes; none of them are padding.
    let written = unsafe { abomonation::encode(words, &mut image) };
    // Writing to memory does not fail.
    written.map(|()| image).unwrap_or_default()
}

/// Hands the columns of an image to `read`. None if it has not as many bytes as its columns want.
///
/// It must be one that [`encode`] made in a program with the same [`stamp`].
#[expect(unsafe_code, reason = "see the head of this file")]
pub fn decode<T>(image: &[u8], read: impl FnOnce(&Words) -> T) -> Option<T> {
    let mut buffer = vec![0_u64; image.len().div_ceil(size_of::<u64>())];
    if cast_slice::<u64, u8>(&buffer).len() != image.len() {
        return None;
    }
    cast_slice_mut(&mut buffer).copy_from_slice(image);
    // SAFETY: the bytes are those of an image that `encode` made with `Vec` lying in memory as here (that is on
    // the caller), aligned; the reference that comes of it ends before the buffer does, and gives out no `Vec`
    // to be dropped or changed.
    let decoded = unsafe { abomonation::decode::<Words>(cast_slice_mut(&mut buffer)) };
    match decoded {
        Some((words, [])) => Some(read(words)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back_wherever_their_image_lies() {
        let images = [vec![], vec![vec![]], vec![vec![1, 2, 3], vec![], vec![u64::MAX]]];
        for words in images {
            let image = encode(&words);
            assert_eq!(image.len() % 8, 0);
            let mut moved = vec![0_u8; image.len() + 1];
            moved[1..].copy_from_slice(&image);
            assert_eq!(decode(&moved[1..], Words::clone), Some(words));
        }
    }

    #[test]
    fn one_that_is_too_short_or_too_long_is_none() {
        let image = encode(&vec![vec![1, 2], vec![3]]);
        for length in 0..image.len() {
            assert_eq!(decode(&image[..length], Words::clone), None, "{length} bytes");
        }
        assert_eq!(decode(&[&image[..], &[0; 8]].concat(), Words::clone), None);
    }

    #[test]
    fn the_stamp_is_that_of_this_layout_and_no_other_run_has_another() {
        let stamp = stamp();
        assert_eq!(stamp, super::stamp());
        assert!(stamp.starts_with("1-") && !stamp.contains('9'), "{stamp}");
    }
}
