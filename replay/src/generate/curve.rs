//! How popular a track is: the published popularity of tracks as one curve of rank.
//!
//! The curve says how often the track of a (continuous) rank comes in a million playlists. Between its
//! knots it is a power law, so its integral and the inverse of that are closed forms: a track is drawn
//! with one random number and no table. The knots were fitted so that Poisson counts around the curve give
//! the published facts: 66.35 M entries, 2.26 M tracks, 1,073,419 of them once, 323,249 twice, … 3,941
//! thirty times, and 7.4 % of them with 88.6 % of the entries.

/// Ranks and how often the track of that rank comes in a million playlists.
const KNOTS: [(f64, f64); 13] = [
    (0.5, 46_574.0),
    (20.0, 30_485.0),
    (266.5, 10_000.0),
    (2_999.3, 3_000.0),
    (14_350.0, 1_000.0),
    (39_451.3, 300.0),
    (71_981.2, 100.0),
    (168_910.1, 30.0),
    (353_096.1, 10.0),
    (740_432.5, 3.0),
    (1_367_111.2, 1.0),
    (2_348_648.6, 0.3),
    (6_442_466.7, 0.1),
];
const SEGMENTS: usize = KNOTS.len() - 1;

/// The curve, integrated.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Entries before each knot.
    before: [f64; SEGMENTS + 1],
    /// 1 − the exponent of each segment.
    power: [f64; SEGMENTS],
}

impl Curve {
    /// Integrates the curve.
    pub fn new() -> Self {
        let mut curve = Curve { before: [0.0; SEGMENTS + 1], power: [0.0; SEGMENTS] };
        for i in 0..SEGMENTS {
            let ((from, high), (to, low)) = (KNOTS[i], KNOTS[i + 1]);
            let power = 1.0 - (high / low).ln() / (to / from).ln();
            curve.power[i] = power;
            curve.before[i + 1] = curve.before[i] + high * from / power * ((to / from).powf(power) - 1.0);
        }
        curve
    }

    /// Entries in a million playlists, up to a rank.
    pub fn entries_to(&self, rank: f64) -> f64 {
        let i = (1..SEGMENTS).take_while(|&i| KNOTS[i].0 <= rank).count();
        let (from, high) = KNOTS[i];
        let power = self.power[i];
        self.before[i] + high * from / power * ((rank.max(from) / from).powf(power) - 1.0)
    }

    /// The rank, from 0, up to which the share `u` (0 to 1) of all entries lies.
    pub fn rank(&self, u: f64) -> f64 {
        let entries = u * self.before[SEGMENTS];
        let i = (1..SEGMENTS).take_while(|&i| self.before[i] <= entries).count();
        let (from, high) = KNOTS[i];
        let power = self.power[i];
        let rank = from * (1.0 + (entries - self.before[i]) * power / (high * from)).powf(1.0 / power);
        rank - KNOTS[0].0
    }

    /// The share of all entries up to a rank, from 0.
    pub fn share(&self, rank: f64) -> f64 {
        self.entries_to(rank + KNOTS[0].0) / self.before[SEGMENTS]
    }
}

/// Tracks in a playlist at the published quantiles, and between them a curve that meets the mean of 66.35.
const LENGTHS: [(f64, f64); 11] = [
    (0.0, 5.0),
    (0.01, 6.0),
    (0.05, 11.0),
    (0.1, 15.0),
    (0.25, 26.0),
    (0.5, 49.0),
    (0.75, 92.0),
    (0.9, 148.0),
    (0.95, 184.0),
    (0.99, 232.0),
    (1.0, 250.0),
];
/// Bends the quantiles between two knots down; straight lines would have a mean of 68.2.
const LENGTH_BEND: f64 = 1.264;

/// The length of a playlist at the quantile `u`, from 0 to below 1.
pub fn length(u: f64) -> usize {
    let i = (1..LENGTHS.len() - 1).take_while(|&i| LENGTHS[i].0 <= u).count();
    let ((u0, from), (u1, to)) = (LENGTHS[i], LENGTHS[i + 1]);
    (from + (to - from) * ((u - u0) / (u1 - u0)).powf(LENGTH_BEND)).round() as usize
}

/// Titles, normalised, of a million playlists.
const TITLES: f64 = 17_381.0;
/// How flat the head of the titles is: 20 lets the top 100 of them cover 26 % of the playlists.
const TITLE_OFFSET: f64 = 20.0;

/// The rank, from 0, of the title at the share `u` of playlists: frequencies as 1 / (rank + offset).
pub fn title_rank(u: f64) -> f64 {
    TITLE_OFFSET * ((1.0 + TITLES / TITLE_OFFSET).powf(u) - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_totals() {
        let curve = Curve::new();
        let entries = curve.before[SEGMENTS];
        assert!((entries / 66_346_428.0 - 1.0).abs() < 0.01, "{entries}");
        for rank in [0.0, 3.0, 19.0, 1e3, 1e5, 1e6, 6e6] {
            assert!((curve.rank(curve.share(rank)) / rank.max(1e-9) - 1.0).abs() < 1e-6 || rank == 0.0);
        }
        let mean = (0..100_000).map(|i| length((f64::from(i) + 0.5) / 1e5) as f64).sum::<f64>() / 1e5;
        assert!((mean - 66.35).abs() < 0.2, "{mean}");
        assert_eq!(
            [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99].map(length),
            [6, 11, 15, 26, 49, 92, 148, 184, 232]
        );
    }
}
