//! What playlists with a like title give, beside the votes of similar ones or alone.

use crate::ids::TrackId;

/// What a track has got.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Got {
    /// Which.
    pub track: TrackId,
    /// acc(t): from similar playlists.
    pub votes: u64,
    /// V(t): from playlists with a like title.
    pub matches: u64,
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
/// is alone: V(t). Of all playlists, each once, there were so many votes and matches. Source: docs/scoring.md, step 6.
pub fn mix(got: &[Got], all: (u64, u64), title_adds: f64, seeds: &[TrackId]) -> Mixed {
    let max_v = got.iter().map(|got| got.matches).max().unwrap_or(0);
    // Few have more votes than all before them.
    let most = |most: u64, got: &Got| {
        if got.votes > most && !seeds.contains(&got.track) { got.votes } else { most }
    };
    let max_acc = got.iter().fold(0, most);
    let mut mixed =
        Mixed { voted: Vec::with_capacity(got.len()), titled: Vec::new(), total: 0.0, alone: false };
    if max_v > 0 && max_acc == 0 {
        mixed.titled.extend(got.iter().filter(|got| got.matches > 0).map(|got| (got.track, got.matches)));
        return Mixed { total: all.1 as f64, alone: true, ..mixed };
    }
    let most = title_adds * max_acc as f64;
    mixed.total = all.0 as f64 + if max_v > 0 { most } else { 0.0 };
    for Got { track, votes, matches } in got {
        let adds = if *matches > 0 { (most * (*matches as f64 / max_v as f64)).round() as u64 } else { 0 };
        let list = if *votes > 0 { &mut mixed.voted } else { &mut mixed.titled };
        list.extend(Some((*track, votes + adds)).filter(|(_, sum)| *sum > 0));
    }
    mixed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
            (&[(1, 900)], &[(1, 8), (4, 3)], 0.1, &[], &[(1, 8), (4, 3)], 40.0, true),
            (&[], &[(4, 3)], 1.0, &[], &[(4, 3)], 40.0, true),
        ];
        for (acc, v, theta, voted, titled, total, alone) in cases {
            let mut got = BTreeMap::<u64, (u64, u64)>::new();
            acc.iter().for_each(|(track, votes)| got.entry(*track).or_default().0 = *votes);
            v.iter().for_each(|(track, matches)| got.entry(*track).or_default().1 = *matches);
            let got = got.into_iter();
            let got = got.map(|(track, (votes, matches))| Got { track: TrackId(track), votes, matches });
            let expected = Mixed { voted: tracks(voted), titled: tracks(titled), total, alone };
            let mixed = mix(&got.collect::<Vec<_>>(), (1_000, 40), theta, &[TrackId(1)]);
            assert_eq!(mixed, expected, "{acc:?} {v:?} {theta}");
        }
    }
}
