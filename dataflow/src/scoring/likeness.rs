//! How alike two tracks are, from how many playlists hold both.

use serde::{Deserialize, Serialize};

/// Measures of likeness, by their usual names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Likeness {
    /// shared / √(first · second): 0 to 1.
    pub cosine: f64,
    /// shared / (first + second - shared): 0 to 1.
    pub jaccard: f64,
    /// How many times as many playlists hold both as would by chance: shared · all / (first · second).
    pub lift: f64,
}

impl Likeness {
    /// Of two tracks that `first` and `second` of `all` playlists hold, `shared` of them both.
    pub fn new(shared: u32, first: u32, second: u32, all: u32) -> Self {
        if shared == 0 {
            return Likeness::default();
        }
        let [shared, first, second, all] = [shared, first, second, all].map(f64::from);
        Likeness {
            cosine: shared / (first * second).sqrt(),
            jaccard: shared / (first + second - shared),
            lift: shared * all / (first * second),
        }
    }
}

/// The cosine of two tracks' playlists, estimated from a sample of the first one's: `shared` of `sampled`
/// playlists hold the second too; in all, `first` and `second` playlists hold them. Between 0 and 1.
pub fn cosine(shared: u32, sampled: u32, first: u32, second: u32) -> f64 {
    if sampled == 0 || second == 0 {
        return 0.0;
    }
    let share = f64::from(shared) / f64::from(sampled);
    (share * (f64::from(first) / f64::from(second)).sqrt()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_of_counts() {
        assert!((cosine(65, 74, 74, 74) - 65.0 / 74.0).abs() < 1e-12);
        assert!((cosine(10, 100, 400, 100) - 0.2).abs() < 1e-12);
        assert_eq!((cosine(1, 0, 1, 1), cosine(100, 100, 400, 100)), (0.0, 1.0));
    }

    #[test]
    fn likeness_of_counts() {
        for (shared, first, second, all, cosine, jaccard, lift) in [
            (0, 0, 0, 0, 0.0, 0.0, 0.0),
            (0, 5, 5, 10, 0.0, 0.0, 0.0),
            (5, 5, 5, 10, 1.0, 1.0, 2.0),
            (65, 74, 74, 250, 65.0 / 74.0, 65.0 / 83.0, 16_250.0 / 5_476.0),
            (20, 100, 25, 1_000, 0.4, 20.0 / 105.0, 8.0),
        ] {
            assert_eq!(Likeness::new(shared, first, second, all), Likeness { cosine, jaccard, lift });
        }
    }
}
