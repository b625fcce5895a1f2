//! What fills a list that votes leave too short.

use rustc_hash::FxHashSet;

use crate::ids::TrackId;

/// Tracks with the number of playlists that hold each.
type Tracks = Vec<(TrackId, u32)>;

/// So many tracks as a list is `short` of, none of them `taken` or twice: first, up to `most` of them, tracks by the
/// seeds' artists, then popular ones. Both come most common first, and only if they are needed. Source:
/// docs/scoring.md, step 7.
pub fn fill(
    mut taken: FxHashSet<TrackId>,
    short: usize,
    most: usize,
    by_artists: impl FnOnce() -> Tracks,
    popular: impl FnOnce() -> Tracks,
) -> (Tracks, Tracks) {
    let mut next = |tracks: Tracks, most: usize| {
        let free = tracks.into_iter().filter(|(track, _)| taken.insert(*track));
        free.take(most).collect::<Tracks>()
    };
    let most = most.min(short);
    let first = if most > 0 { next(by_artists(), most) } else { Vec::new() };
    let left = short - first.len();
    let then = if left > 0 { next(popular(), left) } else { Vec::new() };
    (first, then)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_of_artists_then_popular_ones() {
        let tracks = |some: &[u64]| some.iter().map(|t| (TrackId(*t), 100 - *t as u32)).collect::<Tracks>();
        for (short, most, by_artists, popular) in [
            (0, 9, &[][..], &[][..]),
            (2, 9, &[5, 6], &[]),
            (5, 9, &[5, 6, 7], &[1, 3]),
            (5, 2, &[5, 6], &[1, 3, 7]),
            (3, 0, &[], &[1, 3, 5]),
            (50, 9, &[5, 6, 7], &[1, 3, 8]),
        ] {
            // 2 and 4 are in the list, or unwanted.
            let taken = [2, 4].map(TrackId).into_iter().collect();
            let all =
                fill(taken, short, most, || tracks(&[4, 5, 6, 6, 7]), || tracks(&[1, 1, 2, 3, 5, 7, 8]));
            assert_eq!(all, (tracks(by_artists), tracks(popular)), "{short} short, at most {most}");
        }
        let never = || -> Tracks { panic!("not needed") };
        assert_eq!(fill(FxHashSet::default(), 0, 9, never, never), (Vec::new(), Vec::new()));
        assert_eq!(fill(FxHashSet::default(), 1, 9, || tracks(&[1]), never), (tracks(&[1]), Vec::new()));
        assert_eq!(fill(FxHashSet::default(), 1, 0, never, || tracks(&[1])), (Vec::new(), tracks(&[1])));
    }
}
