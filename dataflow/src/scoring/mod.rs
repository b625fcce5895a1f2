//! Scoring, step by step, as pure functions, each with its source.
//!
//! What is summed over playlists is an integer, because such sums do not depend on the order: the same state
//! and query give the same answer on any number of workers. Ties go to the smaller id.

mod candidates;
mod decorrelate;
mod fill;
mod lengths;
mod likeness;
mod mix;
mod prior;
mod titles;
mod votes;
mod weights;

pub use candidates::{Candidate, STAND_IN_PLAYLISTS, StandIn, join, nearest, stand_ins};
pub use decorrelate::{DECORRELATED_MAX, Gram, later};
pub use fill::fill;
pub use lengths::Lengths;
pub use likeness::{Likeness, cosine};
pub use mix::{Got, Mixed, mix};
pub use prior::Prior;
pub use titles::{MATCH_ONE, Wanted};
pub use votes::{Voting, part};
pub use weights::{seed_weight, stand_in_weight, weigh};

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
    fn the_best_in_order_ties_by_id() {
        let all = vec![(3, 5), (1, 5), (2, 9), (4, 1)];
        assert_eq!(best(all.clone(), 2), [(2, 9), (1, 5)]);
        assert_eq!(best(all.clone(), 9), [(2, 9), (1, 5), (3, 5), (4, 1)]);
        assert_eq!(best(all, 0), []);
    }
}
