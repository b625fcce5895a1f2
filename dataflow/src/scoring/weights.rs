//! What a seed is worth, and what a track of its artist is that stands in for it.

/// One unit of a weight: weights are stored as multiples of 2^-16.
const WEIGHT_ONE: f64 = 65_536.0;
/// One unit of what a seed is worth among others.
const WORTH_ONE: f64 = 16_777_216.0;
/// ζ: what the playlists of another track of a seed's artist count, beside the seed's own.
const STAND_IN: f64 = 0.2;
/// Playlists that hold a track which halve what it is worth as a stand-in.
const STAND_IN_HALF: f64 = 50.0;

/// What sharing a seed is worth: ln((N + 1) / n)², the rarer the more, in units of 2^-16. `playlists` is N,
/// `holding` is n; nothing for a track that no playlist holds. Source: docs/scoring.md, step 2 (idf²).
pub fn seed_weight(playlists: u32, holding: u32) -> u64 {
    if holding == 0 {
        return 0;
    }
    let idf = ((f64::from(playlists) + 1.0) / f64::from(holding)).ln().max(0.0);
    (idf * idf * WEIGHT_ONE).round() as u64
}

/// The weight of a seed as it is among the others: a = w · max(0, z). Source: docs/scoring.md, step 2. What it is
/// worth is rounded first, so that half a unit is half a unit however the equations were solved.
pub fn weigh(weight: u64, worth: f64) -> u64 {
    let worth = (worth.max(0.0) * WORTH_ONE).round() / WORTH_ONE;
    (weight as f64 * worth).round() as u64
}

/// What the playlists of a track count that stands in for the seeds, being by the artist of one:
/// ζ · ā · 50 / (50 + n), with ā the mean weight of the seeds. Source: docs/scoring.md, step 3 (thin pool).
pub fn stand_in_weight(mean: f64, holding: u32) -> u64 {
    (STAND_IN * mean * STAND_IN_HALF / (STAND_IN_HALF + f64::from(holding))).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_seeds_weigh_more_and_common_ones_nothing() {
        assert_eq!(seed_weight(999, 1000), 0);
        assert_eq!(seed_weight(10, 0), 0);
        // ln(1001 / 10)² = 21.2168
        assert_eq!(seed_weight(1000, 10), 1_390_464);
        assert!(seed_weight(u32::MAX, 1) * 500 < 1 << 35);
    }

    #[test]
    fn what_is_worth_less_than_nothing_weighs_nothing() {
        assert_eq!([0.5, 1.25, 0.0, -3.0].map(|worth| weigh(1_000, worth)), [500, 1_250, 0, 0]);
        assert_eq!([0.5 - 1e-12, 0.5 + 1e-12].map(|worth| weigh(1_001, worth)), [501, 501]);
    }

    #[test]
    fn stand_ins_weigh_a_part_of_the_mean_seed() {
        // A fifth of it; half of that at 50 playlists, a sixth at 250.
        for (holding, weight) in [(0, 200), (50, 100), (250, 33)] {
            assert_eq!(stand_in_weight(1_000.0, holding), weight);
        }
    }
}
