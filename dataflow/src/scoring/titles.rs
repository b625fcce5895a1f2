//! How well a playlist's title matches the one asked for: what it shares of it counts, up to [`MATCH_ONE`].

use crate::ids::TitleId;

/// A match that is complete, in whole units.
pub const MATCH_ONE: u64 = 1 << 20;

/// A title that is asked for: its id and those of its words, each with what sharing it counts.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Wanted {
    /// Ids of the title and of its words.
    pub keys: Vec<(TitleId, u64)>,
}

impl Wanted {
    /// The same title counts 1. A word that is shared counts ½ (idf_w / Σ idf)², where idf_w is
    /// ln(titled playlists / those with the word) and the sum goes over all words asked for. A word that no
    /// title has counts as if one had. Source: docs/scoring.md, step 6.
    pub fn new(keys: &[TitleId], titled: u32, holding: impl Fn(TitleId) -> u32) -> Self {
        let Some((own, words)) = keys.split_first() else { return Wanted::default() };
        let idf =
            |word: &TitleId| (f64::from(titled.max(1)) / f64::from(holding(*word).max(1))).ln().max(0.0);
        let all: f64 = words.iter().map(idf).sum();
        let count = |word: &TitleId| {
            let part = if all > 0.0 { idf(word) / all } else { 0.0 };
            (*word, (0.5 * part * part * MATCH_ONE as f64).round() as u64)
        };
        Wanted { keys: [(*own, MATCH_ONE)].into_iter().chain(words.iter().map(count)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::title;

    impl Wanted {
        fn matches(&self, other: &str) -> u64 {
            let there = title::keys(other);
            let shared = self.keys.iter().filter(|(key, _)| there.contains(key));
            shared.map(|(_, count)| count).sum::<u64>().min(MATCH_ONE)
        }
    }

    #[test]
    fn titles_match_by_name_or_by_rare_words() {
        let holding = |word: TitleId| match word {
            w if w == TitleId::of_word("chill") => 10,
            w if w == TitleId::of_word("summer") => 100,
            _ => 0,
        };
        let wanted = |title: &str, titled| Wanted::new(&title::keys(title), titled, holding);
        // idf ln 100 and ln 10: two thirds and one third of the sum.
        let two = wanted("Chill summer", 1_000);
        let one = MATCH_ONE as f64;
        for (other, part) in [
            ("CHILL, summer!", 1.0),
            ("summer chill", 5.0 / 18.0),
            ("so chill", 2.0 / 9.0),
            ("Summer '16", 1.0 / 18.0),
            ("gym", 0.0),
            ("", 0.0),
        ] {
            assert_eq!(two.matches(other), (part * one).round() as u64, "{other:?}");
        }
        // A word alone is half a match; one that nobody has takes its part; one that all have says nothing.
        assert_eq!(wanted("chill", 1_000).matches("chill time"), MATCH_ONE / 2);
        assert_eq!(wanted("chill zzz", 100).matches("chill"), (one / 18.0).round() as u64);
        assert_eq!(wanted("summer", 100).matches("summer time"), 0);
        assert_eq!(wanted("🔥", 100).matches("🔥🔥"), MATCH_ONE);
        assert_eq!(wanted("  ", 100).matches("  "), 0);
    }
}
