//! What one list of recommendations is worth, by the metrics of the RecSys Challenge 2018 (Zamani, Schedl,
//! Lamere, Chen 2019: An Analysis of Approaches Taken in the ACM RecSys Challenge 2018, section 2).

use rustc_hash::FxHashSet;
use serde::Serialize;

/// How many tracks a list has at the most.
pub const LIST: usize = 500;
/// What a track by an artist of the truth is worth.
const ARTIST_CREDIT: f64 = 0.25;
/// Recommendations that a click shows.
const PAGE: usize = 10;
/// Clicks where nothing is found: one more than the pages.
const NO_CLICK: f64 = (LIST / PAGE + 1) as f64;

/// What one list is worth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// Of the first |truth| recommendations, the share that are in the truth.
    pub r_precision: f64,
    /// The same; a position that missed counts a quarter if its artist is one of the truth's, each artist once.
    pub r_precision_artists: f64,
    /// Discounted cumulative gain, 1 / log2(position + 1) for each hit, over the best that a list can have.
    pub ndcg: f64,
    /// How often somebody who is shown ten at a time asks for more until there is a hit; 51 if there is none.
    pub clicks: f64,
}

impl std::ops::Sub for Scores {
    type Output = Scores;

    /// How much more each metric is.
    fn sub(self, other: Scores) -> Scores {
        Scores {
            r_precision: self.r_precision - other.r_precision,
            r_precision_artists: self.r_precision_artists - other.r_precision_artists,
            ndcg: self.ndcg - other.ndcg,
            clicks: self.clicks - other.clicks,
        }
    }
}

/// Scores a list, best first; tracks beyond the first [`LIST`] do not count. `truth` has a track at least, each
/// once, as has the list; `artist` tells the artist of a track, if known.
pub fn score(ranked: &[u32], truth: &[u32], artist: impl Fn(u32) -> Option<u32>) -> Scores {
    let ranked = &ranked[..ranked.len().min(LIST)];
    let wanted: FxHashSet<u32> = truth.iter().copied().collect();
    let mut artists: FxHashSet<u32> = truth.iter().filter_map(|track| artist(*track)).collect();
    let (mut hits, mut by_artist) = (0_usize, 0_usize);
    for track in ranked.iter().take(truth.len()) {
        if wanted.contains(track) {
            hits += 1;
        } else if artist(*track).is_some_and(|artist| artists.remove(&artist)) {
            by_artist += 1;
        }
    }
    let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let found =
        || ranked.iter().enumerate().filter(|(_, track)| wanted.contains(track)).map(|(place, _)| place);
    let ideal: f64 = (0..truth.len().min(LIST)).map(gain).sum();
    let of_truth = |worth: f64| worth / truth.len() as f64;
    Scores {
        r_precision: of_truth(hits as f64),
        r_precision_artists: of_truth(hits as f64 + ARTIST_CREDIT * by_artist as f64),
        ndcg: found().map(gain).sum::<f64>() / ideal,
        clicks: found().next().map_or(NO_CLICK, |place| (place / PAGE) as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    /// Tracks 10a, 10a + 1, … are artist a's; those from 900 on have none.
    fn artist(track: u32) -> Option<u32> {
        (track < 900).then_some(track / 10)
    }

    #[test]
    fn worked_by_hand() {
        // Hits at 1 and 3; at 2 an artist of the truth, at 4 the same one again.
        let scores = score(&[10, 21, 30, 22, 40], &[10, 20, 30, 50], artist);
        assert!(close(scores.r_precision, 0.5));
        assert!(close(scores.r_precision_artists, 2.25 / 4.0));
        // (1 + 1/2) / (1 + 0.6309297535714575 + 1/2 + 0.43067655807339306)
        assert!(close(scores.ndcg, 1.5 / 2.561_606_311_644_850_6));
        assert!(close(scores.clicks, 0.0));
    }

    #[test]
    fn an_artist_counts_once_though_a_track_of_it_was_hit_and_unknown_ones_never() {
        // 11 misses, but artist 1 is in the truth (10, hit); 901 and 900 have no artist in common.
        let scores = score(&[10, 11, 12, 901], &[10, 900, 77, 78], artist);
        assert!(close(scores.r_precision_artists, 1.25 / 4.0));
    }

    #[test]
    fn only_the_first_as_many_count_for_precision() {
        let scores = score(&[1, 2, 5], &[5, 6], |_| None);
        assert!(close(scores.r_precision, 0.0));
        // 1 / log2(4) over 1 + 1 / log2(3)
        assert!(close(scores.ndcg, 0.5 / 1.630_929_753_571_457_5));
    }

    #[test]
    fn clicks_are_pages_turned() {
        let list: Vec<u32> = (0..600).collect();
        for (hit, clicks) in [(0, 0.0), (9, 0.0), (10, 1.0), (499, 49.0), (500, 51.0)] {
            assert!(close(score(&list, &[hit], |_| None).clicks, clicks), "{hit}");
        }
        let none = score(&[], &[1], |_| None);
        assert!(close(none.clicks, 51.0) && close(none.ndcg, 0.0) && close(none.r_precision, 0.0));
    }

    #[test]
    fn more_truth_than_list_can_still_be_perfect() {
        let list: Vec<u32> = (0..500).collect();
        let truth: Vec<u32> = (0..700).collect();
        let scores = score(&list, &truth, |_| None);
        assert!(close(scores.ndcg, 1.0) && close(scores.r_precision, 500.0 / 700.0));
    }
}
