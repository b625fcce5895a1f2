//! The sample of a posting list: its playlists with the smallest ids.
//!
//! An id is a uniform random number, so the playlists with small ids are a uniform sample of all. Whether
//! a playlist belongs to it is decided by its id alone; the sample is a pure function of the data, and a
//! prefix of a posting list in id order.

/// How often a posting list of `playlists` is halved so that between `sample` and twice as many are left:
/// max(0, ⌊log2(playlists / sample)⌋).
pub fn level(playlists: u32, sample: u32) -> u32 {
    (playlists / sample.max(1)).checked_ilog2().unwrap_or(0)
}

/// The greatest playlist id of a level: (2^64 - 1) >> level.
pub fn last(level: u32) -> u64 {
    u64::MAX >> level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_between_m_and_twice_as_many() {
        for (playlists, sample, expected) in
            [(0, 500, 0), (999, 500, 0), (1000, 500, 1), (1999, 500, 1), (46_574, 500, 6), (7, 0, 2)]
        {
            assert_eq!(level(playlists, sample), expected, "{playlists} / {sample}");
        }
        assert_eq!((last(0), last(1), last(63)), (u64::MAX, u64::MAX / 2, 1));
    }
}
