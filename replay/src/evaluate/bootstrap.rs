//! Means and their standard errors by the bootstrap (Efron 1979): the held-out playlists are drawn again, with
//! replacement, many times, and the mean counted anew.
//!
//! Whole playlists are drawn, with all their queries, as those are not independent; and all estimates use the
//! same draws.

use serde::Serialize;

use crate::dice::Dice;

/// How often they are drawn: the error itself is then good to about 2 %.
const DRAWS: usize = 1_000;
/// The dice of the draws are no playlist's.
const STREAM: u64 = u64::MAX;

/// A mean and its standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub se: f64,
}

/// How often each playlist came in each draw.
pub struct Bootstrap(Vec<Vec<u16>>);

impl Bootstrap {
    /// Draws from so many playlists.
    pub fn new(seed: u64, playlists: usize) -> Self {
        let mut dice = Dice::new(seed, STREAM);
        let mut draw = || {
            let mut times = vec![0_u16; playlists];
            for _ in 0..playlists {
                times[dice.below(playlists)] += 1;
            }
            times
        };
        Bootstrap((0..DRAWS).map(|_| draw()).collect())
    }

    /// The mean of the groups' means; each is of (place of the playlist, value), and has one at least.
    pub fn estimate(&self, groups: &[Vec<(usize, f64)>]) -> Estimate {
        let mean = |times: &dyn Fn(usize) -> f64| {
            let of_group = |group: &Vec<(usize, f64)>| {
                let (sum, weight) = group.iter().fold((0.0, 0.0), |(sum, weight), (playlist, value)| {
                    (sum + times(*playlist) * value, weight + times(*playlist))
                });
                sum / weight
            };
            groups.iter().map(of_group).sum::<f64>() / groups.len() as f64
        };
        // A draw without any playlist of a small group has no mean.
        let drawn = self.0.iter().map(|times| mean(&|playlist| f64::from(times[playlist])));
        let drawn: Vec<f64> = drawn.filter(|mean| mean.is_finite()).collect();
        let centre = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let squares = drawn.iter().map(|mean| (mean - centre) * (mean - centre)).sum::<f64>();
        Estimate { mean: mean(&|_| 1.0), se: (squares / (drawn.len() as f64 - 1.0)).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_independent_values_it_is_s_over_root_n() {
        let mut dice = Dice::new(3, 1);
        let values: Vec<(usize, f64)> = (0..400).map(|n| (n, dice.unit())).collect();
        let mean = values.iter().map(|(_, value)| value).sum::<f64>() / 400.0;
        let variance = values.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>() / 399.0;
        let expected = (variance / 400.0).sqrt();
        let found = Bootstrap::new(1, 400).estimate(&[values]);
        assert!((found.mean - mean).abs() < 1e-12);
        assert!((found.se / expected - 1.0).abs() < 0.1, "{} and {expected}", found.se);
    }

    #[test]
    fn what_depends_on_one_playlist_is_not_counted_twice() {
        let mut dice = Dice::new(3, 1);
        let values: Vec<(usize, f64)> = (0..200).map(|n| (n, dice.unit())).collect();
        let bootstrap = Bootstrap::new(1, 200);
        let once = bootstrap.estimate(std::slice::from_ref(&values));
        let twice: Vec<_> = values.iter().flat_map(|value| [*value, *value]).collect();
        let groups = bootstrap.estimate(&[values.clone(), values]);
        for same in [bootstrap.estimate(&[twice]), groups] {
            assert!((same.se - once.se).abs() < 1e-12 && (same.mean - once.mean).abs() < 1e-12);
        }
    }
}
