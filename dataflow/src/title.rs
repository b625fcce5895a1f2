//! Titles as ids: a title has a posting list like a track, and so has each of its words.

use crate::ids::TitleId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Words that say nothing about what is in a playlist.
const STOP_WORDS: [&str; 16] =
    ["a", "an", "and", "at", "by", "for", "from", "in", "my", "of", "on", "or", "the", "to", "with", "you"];

/// Words of a title that count, the first ones: each has a posting list, and a title may be as long as an event.
const WORDS_MAX: usize = 64;

/// The normal form of a title: lower case, apostrophes dropped, runs of anything but letters and digits
/// become one `.`, none at the ends. A title without letters and digits (`🔥🔥`, `!!`) becomes its sorted
/// set of characters. Source: docs/scoring.md, step 6.
pub fn normalise(title: &str) -> String {
    let mut normal = String::with_capacity(title.len());
    for c in title.chars().flat_map(char::to_lowercase).filter(|c| !matches!(c, '\'' | '’' | '`')) {
        if c.is_alphanumeric() {
            normal.push(c);
        } else if !normal.is_empty() && !normal.ends_with('.') {
            normal.push('.');
        }
    }
    if normal.ends_with('.') {
        normal.pop();
    }
    if normal.is_empty() {
        let mut marks: Vec<char> = title.chars().filter(|c| !c.is_whitespace()).collect();
        marks.sort_unstable();
        marks.dedup();
        normal.extend(marks);
    }
    normal
}

/// The distinct words of a normalised title, of two letters or more and no stop words, in order; of a long one, among
/// its first 64.
pub fn words(normal: &str) -> Vec<&str> {
    let says = |word: &&str| word.chars().nth(1).is_some() && !STOP_WORDS.contains(word);
    let mut words: Vec<&str> = normal.split('.').filter(says).take(WORDS_MAX).collect();
    words.sort_unstable();
    words.dedup();
    words
}

impl TitleId {
    /// The id of a word of titles: xxh3-64, seed 5, so that the title "chill" and the word "chill" differ.
    pub fn of_word(word: &str) -> Self {
        TitleId(xxh3_64_with_seed(word.as_bytes(), 5))
    }
}

/// All keys under which a playlist with this title is found: the title's, then its words'. None for a
/// title of white space only.
pub fn keys(title: &str) -> Vec<TitleId> {
    let normal = normalise(title);
    if normal.is_empty() {
        return Vec::new();
    }
    let mut keys: Vec<TitleId> = vec![TitleId::of(&normal)];
    keys.extend(words(&normal).into_iter().map(TitleId::of_word));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_that_mean_the_same_are_the_same() {
        for (title, normal) in [
            ("Chill  Hits!", "chill.hits"),
            ("Chillin' on a Dirt Road", "chillin.on.a.dirt.road"),
            ("  90s — R&B ", "90s.r.b"),
            ("🔥😎🔥", "🔥😎"),
            ("!!", "!"),
            (" ", ""),
            ("Été", "été"),
        ] {
            assert_eq!(normalise(title), normal, "{title:?}");
        }
        assert_eq!(words("the.best.of.the.best.80s.x"), ["80s", "best"]);
        assert_eq!(keys("Chill"), [TitleId::of("chill"), TitleId::of_word("chill")]);
        assert_ne!(TitleId::of("chill"), TitleId::of_word("chill"));
        assert!(keys("  ").is_empty());
        let long: String = (0..100_000).map(|n| format!("w{n} ")).collect();
        let of_first = |n: usize| keys(&long).contains(&TitleId::of_word(&format!("w{n}")));
        assert_eq!((keys(&long).len(), of_first(63), of_first(64)), (1 + WORDS_MAX, true, false));
    }
}
