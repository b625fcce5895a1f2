//! What the vote of a similar playlist counts.

use super::titles::MATCH_ONE;

/// One unit of a vote: 2^-28 of what the most similar playlist had, before its similarity was counted again.
const VOTE_ONE: f64 = 268_435_456.0;
/// The most that one playlist can count: a hundred thousand of them fit 63 bits.
const VOTE_MAX: f64 = 17_592_186_044_416.0;

/// How votes are counted.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Voting {
    /// A similarity that counts one vote. Which it is makes no difference, as all votes are told as shares.
    pub one: u64,
    /// ρ
    pub power: f64,
    /// b_T
    pub title: f64,
}

impl Voting {
    /// v = σ^ρ · π^-½ · (1 + b_T · T) for a playlist of similarity σ that was sampled with chance π = 2^-level
    /// and whose title matches so well. Source: docs/scoring.md, step 4. σ is
    /// divided by one that is known beforehand, the greatest sampled one: only the scale of all votes differs.
    pub fn vote(&self, similarity: u64, level: u32, title: u64) -> u64 {
        if similarity == 0 {
            return 0;
        }
        let power = (similarity as f64 / self.one.max(1) as f64).powf(self.power);
        let unsampled = (f64::from(level) / 2.0).exp2();
        let titled = 1.0 + self.title * (title as f64 / MATCH_ONE as f64);
        (power * unsampled * titled * VOTE_ONE).min(VOTE_MAX).round() as u64
    }
}

/// The part of a vote that is a seed's, of the seeds that its playlist holds: as its weight in all of theirs.
pub fn part(vote: u64, weight: u64, weights: u64) -> u64 {
    (u128::from(vote) * u128::from(weight) / u128::from(weights.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_vote_are_at_most_all_of_it() {
        assert_eq!([(10, 1, 3), (10, 2, 3), (10, 0, 0)].map(|(v, w, all)| part(v, w, all)), [3, 6, 0]);
        assert_eq!(part(1 << 44, 1 << 34, 1 << 34), 1 << 44);
    }

    #[test]
    fn votes() {
        let one = 1 << 28;
        for (similarity, power, level, boost, title, expected) in [
            (1_000, 2.0, 0, 0.0, 0, one),
            (500, 2.0, 0, 0.0, 0, one / 4),
            (2_000, 1.0, 0, 0.0, MATCH_ONE, 2 * one),
            (1_000, 1.5, 4, 0.0, 0, 4 * one),
            (1_000, 1.5, 0, 3.0, MATCH_ONE, 4 * one),
            (1_000, 1.5, 2, 3.0, MATCH_ONE / 2, 5 * one),
            // .25^1.5 · √2 = .176777
            (250, 1.5, 1, 0.0, 0, 47_453_133),
            (0, 1.1, 3, 3.0, MATCH_ONE, 0),
            (u64::MAX, 10.0, 31, 3.0, MATCH_ONE, 1 << 44),
        ] {
            let there = Voting { one: 1_000, power, title: boost }.vote(similarity, level, title);
            assert_eq!(there, expected, "{similarity}^{power}, level {level}, title {title} · {boost}");
        }
    }
}
