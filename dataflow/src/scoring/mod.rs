//! Scoring, step by step, as pure functions on integers.
//!
//! Integers, because their sums do not depend on the order: the same state and query give the same answer
//! on any number of workers. Ties go to the smaller id.

mod likeness;

pub use likeness::Likeness;

/// One unit of a seed's weight: weights are stored as multiples of 2^-16.
const WEIGHT_ONE: f64 = 65_536.0;

/// What sharing a seed is worth: ln((N + 1) / n)², the rarer the more, in units of 2^-16. `playlists` is N,
/// `holding` is n; nothing for a track that no playlist holds. Source: scoring notes, step 2 (idf²).
pub fn seed_weight(playlists: u32, holding: u32) -> u64 {
    if holding == 0 {
        return 0;
    }
    let idf = ((f64::from(playlists) + 1.0) / f64::from(holding)).ln().max(0.0);
    (idf * idf * WEIGHT_ONE).round() as u64
}

/// The vote of a playlist: the square of its similarity Σ w / √entries, so (Σ w)² / entries, in units of
/// 2^-28. Playlists rank by it, since squaring keeps order. Source: scoring notes, steps 3 and 4, with
/// length exponent ½ and ρ = 2.
pub fn vote(weights: u64, entries: u32) -> u64 {
    let squared = u128::from(weights) * u128::from(weights) / u128::from(entries.max(1));
    // 500 seeds that no other playlist holds weigh less than 2^33: a thousand votes fit 64 bits.
    u64::try_from(squared >> 4).unwrap_or(u64::MAX)
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

/// The `limit` best of (id, score): highest score first, ties by smaller id.
pub fn best<I: Copy + Ord>(mut all: Vec<(I, u64)>, limit: usize) -> Vec<(I, u64)> {
    let order = |a: &(I, u64), b: &(I, u64)| b.1.cmp(&a.1).then(a.0.cmp(&b.0));
    if limit > 0 && all.len() > limit {
        all.select_nth_unstable_by(limit - 1, order);
    }
    all.truncate(limit);
    all.sort_unstable_by(order);
    all
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
    fn a_vote_is_the_square_of_the_normalised_similarity() {
        assert_eq!(vote(8, 1), 4);
        assert_eq!(vote(65_536, 4), (1 << 30) >> 4);
        assert_eq!(vote(0, 0), 0);
        assert_eq!(vote(u64::MAX, 1), u64::MAX);
    }

    #[test]
    fn cosine_of_counts() {
        assert!((cosine(65, 74, 74, 74) - 65.0 / 74.0).abs() < 1e-12);
        assert!((cosine(10, 100, 400, 100) - 0.2).abs() < 1e-12);
        assert_eq!((cosine(1, 0, 1, 1), cosine(100, 100, 400, 100)), (0.0, 1.0));
    }

    #[test]
    fn the_best_in_order_ties_by_id() {
        let all = vec![(3, 5), (1, 5), (2, 9), (4, 1)];
        assert_eq!(best(all.clone(), 2), [(2, 9), (1, 5)]);
        assert_eq!(best(all.clone(), 9), [(2, 9), (1, 5), (3, 5), (4, 1)]);
        assert_eq!(best(all, 0), []);
    }
}
