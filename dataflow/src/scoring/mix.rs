//! What playlists with a like title give, beside the votes of similar ones or alone.

use crate::ids::TrackId;
use crate::query::Tally;

/// What tracks have got, and what one has that got all there was.
#[derive(Debug, Default, PartialEq)]
pub struct Got {
    /// Each track once.
    pub tracks: Vec<(TrackId, u64)>,
    /// All of it, each playlist's once.
    pub all: u64,
}

/// Both together.
#[derive(Debug, PartialEq)]
pub struct Mixed {
    /// Tracks that similar playlists hold.
    pub voted: Vec<(TrackId, u64)>,
    /// Tracks that only playlists with a like title hold.
    pub titled: Vec<(TrackId, u64)>,
    /// What one has that got all there was.
    pub total: f64,
    /// Whether that was for the title alone.
    pub alone: bool,
}

/// acc(t) + θ · max acc · V(t) / max V; of max acc, `seeds` are left out. Where nothing but seeds has votes, the title
/// is alone: V(t). Source: scoring notes, step 6.
pub fn mix(acc: Got, v: Got, title_adds: f64, seeds: &[TrackId]) -> Mixed {
    let (mut voted, total) = (acc.tracks, acc.all as f64);
    let Some(max_v) = v.tracks.iter().map(|(_, sum)| *sum).max() else {
        return Mixed { voted, titled: Vec::new(), total, alone: false };
    };
    // Few have more votes than all before them.
    let most = |most: Option<u64>, (track, votes): &(TrackId, u64)| {
        if most.is_none_or(|most| *votes > most) && !seeds.contains(track) { Some(*votes) } else { most }
    };
    let Some(max_acc) = voted.iter().fold(None, most) else {
        return Mixed { voted, titled: v.tracks, total: v.all as f64, alone: true };
    };
    let most = title_adds * max_acc as f64;
    let adds = |sum: u64| (most * (sum as f64 / max_v as f64)).round() as u64;
    let titled = Tally::with(v.tracks.len(), |added| {
        v.tracks.iter().for_each(|(track, sum)| added.add(track.0, adds(*sum) as i64));
        voted.iter_mut().for_each(|(track, votes)| *votes += added.take(track.0) as u64);
        added.iter().map(|(track, votes)| (TrackId(track), votes)).collect()
    });
    Mixed { voted, titled, total: total + most, alone: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracks(some: &[(u64, u64)]) -> Vec<(TrackId, u64)> {
        some.iter().map(|(track, got)| (TrackId(*track), *got)).collect()
    }

    #[test]
    fn titles_add_a_part_of_the_most_voted_or_are_alone() {
        type Some<'a> = &'a [(u64, u64)];
        let cases: [(Some<'_>, Some<'_>, f64, Some<'_>, Some<'_>, f64, bool); 7] = [
            // acc, V, θ: acc + …, V only, total, alone. Track 1 is the seed.
            (&[(2, 100), (3, 50)], &[], 0.1, &[(2, 100), (3, 50)], &[], 1_000.0, false),
            (&[(2, 100), (3, 50)], &[(3, 8), (4, 4)], 0.1, &[(2, 100), (3, 60)], &[(4, 5)], 1_010.0, false),
            // The seed's votes are not the most, but it gets its part.
            (&[(1, 900), (2, 100)], &[(1, 8), (4, 2)], 0.2, &[(1, 920), (2, 100)], &[(4, 5)], 1_020.0, false),
            (&[(2, 100)], &[(2, 8), (4, 8)], 0.0, &[(2, 100)], &[], 1_000.0, false),
            // 0.1 · 100 · 1 / 30 is nothing.
            (&[(2, 100)], &[(3, 30), (4, 1)], 0.1, &[(2, 100)], &[(3, 10)], 1_010.0, false),
            (&[(1, 900)], &[(1, 8), (4, 3)], 0.1, &[(1, 900)], &[(1, 8), (4, 3)], 40.0, true),
            (&[], &[(4, 3)], 1.0, &[], &[(4, 3)], 40.0, true),
        ];
        for (acc, v, theta, voted, titled, total, alone) in cases {
            let acc = Got { tracks: tracks(acc), all: 1_000 };
            let v = Got { tracks: tracks(v), all: 40 };
            let expected = Mixed { voted: tracks(voted), titled: tracks(titled), total, alone };
            let at = format!("{acc:?} {v:?} {theta}");
            let mut mixed = mix(acc, v, theta, &[TrackId(1)]);
            mixed.titled.sort_unstable();
            assert_eq!(mixed, expected, "{at}");
        }
    }
}
