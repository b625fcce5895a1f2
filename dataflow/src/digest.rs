//! The digest of a state: Σ xxh3-128 (seed 0) over its entries, modulo 2^128.
//!
//! A sum, so that adding and removing an entry cancel, parts of workers add up, and order is nothing.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::ids::{PlaylistId, TrackId};

/// Equal for equal states; shown as 32 hex digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest(pub u128);

impl Digest {
    /// Adds (`diff` 1) or removes (-1) one entry: the hash of playlist id ‖ track id, both little-endian.
    pub fn update(&mut self, playlist: PlaylistId, track: TrackId, diff: i32) {
        let mut entry = [0; 16];
        entry[..8].copy_from_slice(&playlist.0.to_le_bytes());
        entry[8..].copy_from_slice(&track.0.to_le_bytes());
        self.0 = self.0.wrapping_add(xxh3_128(&entry).wrapping_mul(diff as u128));
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_fixed_for_ever_and_forgets() {
        let (p, t, u) = (PlaylistId::of("p"), TrackId::of("t"), TrackId::of("u"));
        let mut digest = Digest::default();
        digest.update(p, t, 1);
        let golden = digest.to_string();
        digest.update(p, u, 1);
        digest.update(p, u, -1);
        assert_eq!(digest.to_string(), golden);
        assert_eq!(golden, "2088a1f21f650c9bb70e73ca8f741bdf");
        digest.update(p, t, -1);
        assert_eq!(digest, Digest::default());
    }
}
