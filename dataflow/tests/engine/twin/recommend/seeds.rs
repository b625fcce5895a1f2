//! Steps 1 and 2: what each seed is worth.

use std::collections::BTreeSet;

use segue_dataflow::ids::{PlaylistId, TrackId};

use super::super::{Twin, halved, is_sampled};
use super::formulas::{b, count, weigh, weight};

/// Seeds told apart: so many of the last.
const TOLD_APART: usize = 200;

/// What a seed is in one question.
pub struct Seed {
    pub track: TrackId,
    /// a
    pub weight: u64,
    /// τ = 2^-halved
    pub halved: i32,
    /// A: its sampled playlists, but not the one that asks.
    pub sample: BTreeSet<PlaylistId>,
}

impl Twin {
    /// w of each.
    pub(super) fn weighed(&self, known: &[TrackId], m: u32, but: Option<PlaylistId>) -> Vec<Seed> {
        let seed = |track: &TrackId| {
            let holders = self.holders(*track);
            let (halved, weight) =
                (halved(holders.len(), m), weight(self.playlists.len() as u32, holders.len() as u32));
            let sample = holders.into_iter().filter(|p| is_sampled(*p, halved) && Some(*p) != but).collect();
            Seed { track: *track, weight, halved, sample }
        };
        known.iter().map(seed).collect()
    }

    /// a = w · max(0, z), z = (C + I)⁻¹ b. Where samples contradict each other, so that there is no such z or it is
    /// longer than b, all is left as it is.
    pub(super) fn decorrelate(&self, seeds: &mut [Seed], e: f64, ordered: bool) {
        let (first, k) = (seeds.len().saturating_sub(TOLD_APART), seeds.len());
        let told = &seeds[first..];
        let g = |i: usize, j: usize| {
            let both = told[i].sample.intersection(&told[j].sample);
            let sum: f64 = both.map(|p| count(self.playlists[p].tracks.len(), e)).sum();
            let tau = |i: usize| 0.5_f64.powi(told[i].halved);
            sum / tau(i).min(tau(j))
        };
        let own: Vec<f64> = (0..told.len()).map(|i| g(i, i)).collect();
        let c_plus_i = |i: usize, j: usize| match own[i] * own[j] {
            both if both > 0.0 => g(i, j) / both.sqrt() + if i == j { 1.0 } else { 0.0 },
            _ => f64::from(u8::from(i == j)),
        };
        let bs: Vec<f64> = (1..=told.len()).map(|i| b(first + i, k, ordered)).collect();
        let row = |i: usize| (0..told.len()).map(|j| c_plus_i(i, j)).chain([bs[i]]).collect();
        let squares = |vector: &[f64]| vector.iter().map(|x| x * x).sum::<f64>();
        self.see("seeds told apart", true);
        self.see("seeds told apart by samples", told.iter().any(|seed| seed.halved > 0));
        self.see("later seeds count more", bs.last().is_some_and(|b| *b == 2.0));
        self.see("seeds before the last 200", first > 0);
        let z = eliminate((0..told.len()).map(row).collect());
        let z = z.filter(|z| squares(z) <= squares(&bs) * (1.0 + 1e-9));
        self.see("samples that contradict each other", z.is_none());
        for (seed, z) in seeds[first..].iter_mut().zip(z.unwrap_or_else(|| vec![1.0; k - first])) {
            seed.weight = weigh(seed.weight, z);
        }
    }
}

/// Solves equations, each a row with its right side at the end, by elimination. None if a pivot is not positive.
fn eliminate(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    for i in 0..n {
        if rows[i][i] <= 1e-9 {
            return None;
        }
        let pivot = rows[i].clone();
        for row in rows.iter_mut().skip(i + 1) {
            let times = row[i] / pivot[i];
            row.iter_mut().zip(&pivot).for_each(|(a, b)| *a -= times * b);
        }
    }
    let mut solved = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| rows[i][j] * solved[j]).sum();
        solved[i] = (rows[i][n] - known) / rows[i][i];
    }
    Some(solved)
}
