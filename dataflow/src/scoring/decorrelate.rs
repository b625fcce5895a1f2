//! Decorrelation: ten tracks of one album say about as much as two or three.
//!
//! Seeds that sit in the same playlists are correlated. z = (C + λI)⁻¹ b gives each one the part of what is
//! said that it adds, where C holds the correlations of the seeds' samples. Source: docs/scoring.md, step 2.

/// λ: how far correlations are trusted.
const LAMBDA: f64 = 1.0;
/// Less than this is nothing, beside elements of about 1.
const PIVOT_MIN: f64 = 1e-9;
/// From so many seeds on, the later ones of a list count more than the first.
const LATER_COUNT_FROM: usize = 50;

/// Seeds of a query that are told apart; the cost grows with their cube.
pub const DECORRELATED_MAX: usize = 200;

/// b: how much the seed at this place of so many counts. In a long list that has an order, later ones count up
/// to twice as much as the first. Source: docs/scoring.md, step 2.
pub fn later(place: usize, seeds: usize, ordered: bool) -> f64 {
    if ordered && seeds >= LATER_COUNT_FROM { 1.0 + place as f64 / (seeds - 1) as f64 } else { 1.0 }
}

/// G: for each two seeds, what the playlists count that are in the samples of both. Sums of integers: the order
/// of playlists does not matter.
pub struct Gram {
    seeds: usize,
    /// Row by row, the whole square; the lower half is filled.
    sums: Vec<u64>,
}

impl Gram {
    /// Of so many seeds, without any playlist.
    pub fn new(seeds: usize) -> Self {
        Gram { seeds, sums: vec![0; seeds * seeds] }
    }

    /// Adds a playlist that is in the samples of these seeds, by number, ascending.
    pub fn add(&mut self, held: &[usize], count: u64) {
        for (at, i) in held.iter().enumerate() {
            let row = &mut self.sums[i * self.seeds..][..self.seeds];
            held[..=at].iter().for_each(|j| row[*j] += count);
        }
    }

    /// What each seed adds: z. `levels` says how often each sample was halved; two samples that overlap do so in
    /// the part of all playlists that the smaller of them is from, so their sum stands for 2^level as much.
    /// `counts` is b. All are worth 1 if the samples contradict each other: no vectors are correlated so that
    /// C + λI, with λ = 1, made z longer than b.
    pub fn worth(&self, levels: &[u32], counts: &[f64]) -> Vec<f64> {
        let n = self.seeds;
        let g = |i: usize, j: usize| self.sums[i * n + j] as f64 * f64::from(levels[i].max(levels[j])).exp2();
        let own: Vec<f64> = (0..n).map(|i| g(i, i)).collect();
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..i {
                let both = (own[i] * own[j]).sqrt();
                matrix[i * n + j] = if both > 0.0 { g(i, j) / both } else { 0.0 };
            }
            matrix[i * n + i] = LAMBDA + if own[i] > 0.0 { 1.0 } else { 0.0 };
        }
        let length = |vector: &[f64]| vector.iter().map(|x| x * x).sum::<f64>();
        let possible = |worth: &Vec<f64>| length(worth) <= length(counts) * (1.0 + 1e-9);
        solve(&mut matrix, counts.to_vec()).filter(possible).unwrap_or_else(|| vec![1.0; n])
    }
}

/// Solves M x = b by Cholesky's decomposition. Of M, symmetric, the lower half is given, and overwritten. None
/// if it is not positive definite, or so nearly not that rounding decides.
fn solve(matrix: &mut [f64], mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let (above, below) = matrix.split_at(i * n);
            let row = &below[..j];
            let other = if i == j { row } else { &above[j * n..j * n + j] };
            let rest = below[j] - row.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
            matrix[i * n + j] = if i > j {
                rest / matrix[j * n + j]
            } else if rest > PIVOT_MIN {
                rest.sqrt()
            } else {
                return None;
            };
        }
    }
    for i in 0..n {
        let known: f64 = (0..i).map(|j| matrix[i * n + j] * b[j]).sum();
        b[i] = (b[i] - known) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| matrix[j * n + i] * b[j]).sum();
        b[i] = (b[i] - known) / matrix[i * n + i];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(there: &[f64], expected: &[f64]) {
        let near =
            there.len() == expected.len() && there.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near, "{there:?}, not {expected:?}");
    }

    #[test]
    fn seeds_that_say_the_same_share_what_they_say() {
        // Two that are always together, one apart: with λ = 1, C + λI = [[2, 1, 0], [1, 2, 0], [0, 0, 2]].
        let mut gram = Gram::new(3);
        (0..4).for_each(|_| gram.add(&[0, 1], 10));
        (0..9).for_each(|_| gram.add(&[2], 7));
        near(&gram.worth(&[0; 3], &[1.0; 3]), &[1.0 / 3.0, 1.0 / 3.0, 0.5]);
        // One that nobody holds: row and column 0.
        let mut gram = Gram::new(2);
        gram.add(&[1], 5);
        near(&gram.worth(&[0; 2], &[1.0; 2]), &[1.0, 0.5]);
        near(&Gram::new(0).worth(&[], &[]), &[]);
    }

    #[test]
    fn a_sample_stands_for_all_it_is_drawn_from() {
        // Seed 0: two playlists of all; seed 1: one of a sample of half. G = [[2, 2], [2, 2]] · 3: C = 1.
        let mut gram = Gram::new(2);
        gram.add(&[0, 1], 3);
        gram.add(&[0], 3);
        near(&gram.worth(&[0, 1], &[1.0; 2]), &[1.0 / 3.0, 1.0 / 3.0]);
        // C = 2^1 / √(1 · 2) = √2 is no correlation, but does no harm.
        let mut gram = Gram::new(2);
        gram.add(&[0, 1], 1);
        let z = 1.0 / (2.0 + 2_f64.sqrt());
        near(&gram.worth(&[0, 1], &[1.0; 2]), &[z, z]);
        // Where it does, so that z were (0.93, -0.61), it is not heard; nor is C = 4, for which there is no z.
        near(&gram.worth(&[0, 1], &[1.0, 0.1]), &[1.0, 1.0]);
        near(&gram.worth(&[0, 4], &[1.0; 2]), &[1.0, 1.0]);
    }

    #[test]
    fn in_a_long_list_later_seeds_count_more() {
        let mut gram = Gram::new(2);
        (0..2).for_each(|seed| gram.add(&[seed], 1));
        near(&gram.worth(&[0; 2], &[1.0, 1.5]), &[0.5, 0.75]);
        for (place, seeds, ordered, expected) in [
            (0, 50, true, 1.0),
            (49, 50, true, 2.0),
            (20, 101, true, 1.2),
            (49, 50, false, 1.0),
            (48, 49, true, 1.0),
        ] {
            near(&[later(place, seeds, ordered)], &[expected]);
        }
    }

    #[test]
    fn equations_are_solved() {
        let mut matrix = vec![4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 1.0, 3.0, 6.0];
        // [[4, 2, 1], [2, 5, 3], [1, 3, 6]] · [1, -2, 3]
        near(&solve(&mut matrix, vec![3.0, 1.0, 13.0]).expect("positive definite"), &[1.0, -2.0, 3.0]);
        assert_eq!(solve(&mut [1.0, 0.0, 2.0, 1.0], vec![1.0, 1.0]), None);
    }
}
