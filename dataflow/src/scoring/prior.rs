//! What is known of a track before any playlist votes: who made it, and how popular it is.

/// The factors of step 5, scaled so that none exceeds 1: that changes no order, and a score stays a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// β
    pub artist: f64,
    /// δ
    pub popularity: f64,
    /// K
    pub seeds: u32,
    /// N
    pub playlists: u32,
}

impl Prior {
    /// exp(β (√(c / K) - 1)) · n^-δ (with a negative δ: (n / N)^-δ) for a track that `holding` playlists hold
    /// and by whose artist `by_artist` of the seeds are. Source: docs/scoring.md, steps 5 and 6.
    pub fn factor(&self, by_artist: u32, holding: u32) -> f64 {
        let share = f64::from(by_artist) / f64::from(self.seeds.max(1));
        let n = f64::from(holding.max(1));
        let n = if self.popularity < 0.0 { n / f64::from(self.playlists.max(1)) } else { n };
        (self.artist * (share.sqrt() - 1.0)).exp() * n.powf(-self.popularity)
    }

    /// Between which two values the factor of every track lies, if at most `by_artist` seeds are by one artist.
    /// A little wider than that: rounding must not put one outside.
    pub fn bounds(&self, by_artist: u32) -> (f64, f64) {
        let most = self.playlists.max(1);
        let ends = [1, most].map(|n| (self.factor(0, n), self.factor(by_artist, n)));
        (ends[0].0.min(ends[1].0) * (1.0 - 1e-9), ends[0].1.max(ends[1].1) * (1.0 + 1e-9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors() {
        for (artist, popularity, by_artist, holding, expected) in [
            (0.0, 0.0, 0, 9, 1.0),
            (1.0, 0.0, 4, 9, 1.0),
            (1.0, 0.0, 0, 9, 0.367_879_441),
            // e^(.7 (√.25 - 1)) = e^-.35
            (0.7, 0.0, 1, 9, 0.704_688_090),
            (0.0, 0.5, 0, 9, 1.0 / 3.0),
            (0.0, 0.5, 0, 0, 1.0),
            // (10 / 100)^.1
            (0.0, -0.1, 0, 10, 0.794_328_235),
            (0.7, 0.05, 1, 100, 0.559_753_646),
        ] {
            let prior = Prior { artist, popularity, seeds: 4, playlists: 100 };
            let there = prior.factor(by_artist, holding);
            assert!((there - expected).abs() < 1e-8, "{prior:?} {by_artist} {holding}: {there}");
            let (low, high) = prior.bounds(4);
            assert!(low < there && there < high && high < 1.000_001, "{low} {there} {high}");
        }
    }
}
