//! What the length of a playlist does: a long one holds anything.

/// One unit of a similarity, beside one of a weight: together 2^-36.
const SIMILARITY_ONE: f64 = 1_048_576.0;
/// One unit of what a playlist counts in a correlation.
const COUNT_ONE: f64 = 1_048_576.0;
/// A playlist of this many tracks counts 1 there.
const USUAL_ENTRIES: f64 = 50.0;
/// Lengths that are looked up; longer playlists are rare.
const LENGTHS: u32 = 256;

/// L^-e for every number of entries L.
pub struct Lengths {
    exponent: f64,
    usual: f64,
    known: Vec<f64>,
}

impl Lengths {
    /// With this e.
    pub fn new(exponent: f64) -> Self {
        let mut lengths = Lengths { exponent, usual: USUAL_ENTRIES.powf(2.0 * exponent), known: Vec::new() };
        lengths.known = (0..LENGTHS).map(|entries| lengths.computed(entries)).collect();
        lengths
    }

    fn computed(&self, entries: u32) -> f64 {
        f64::from(entries.max(1)).powf(-self.exponent)
    }

    fn of(&self, entries: u32) -> f64 {
        self.known.get(entries as usize).copied().unwrap_or_else(|| self.computed(entries))
    }

    /// The similarity of a playlist whose seeds weigh so much: Σ a / L^e, in units of 2^-36. Source: scoring
    /// notes, steps 3 and 4.
    pub fn similarity(&self, weights: u64, entries: u32) -> u64 {
        // 500 seeds that no other playlist holds weigh less than 2^35.
        (weights as f64 * self.of(entries) * SIMILARITY_ONE).round() as u64
    }

    /// What a playlist counts in the correlation of two seeds: (50 / L)^2e, in units of 2^-20. Source: scoring
    /// notes, step 2.
    pub fn count(&self, entries: u32) -> u64 {
        let norm = self.of(entries);
        (norm * norm * self.usual * COUNT_ONE).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_by_length() {
        for (exponent, weights, entries, expected) in [
            (0.5, 65_536, 4, 1_u64 << 35),
            (0.5, 65_536, 0, 1 << 36),
            (0.0, 7, 123, 7 << 20),
            (1.0, 1 << 16, 1 << 14, 1 << 22),
            // 3 / 10^0.3 = 1.503562
            (0.3, 3, 10, 1_576_599),
        ] {
            let there = Lengths::new(exponent).similarity(weights, entries);
            assert_eq!(there, expected, "{weights} / {entries}^{exponent}");
        }
    }

    #[test]
    fn counts_by_length() {
        for (exponent, entries, expected) in [
            (0.5, 50, 1 << 20),
            (0.5, 100, 1 << 19),
            (0.25, 200, 1 << 19),
            (0.5, 0, 50 << 20),
            (0.0, 9, 1 << 20),
        ] {
            assert_eq!(Lengths::new(exponent).count(entries), expected, "(50 / {entries})^(2 · {exponent})");
        }
    }
}
