//! Step 6: how well titles match, by comparing them word by word.

use std::collections::{BTreeMap, BTreeSet};

use segue_dataflow::ids::PlaylistId;

use super::super::{Twin, ranked, sampled};
use super::formulas::{MATCH, word};

/// Words that say nothing. The notes do not list them.
const STOP: &str = "a an and at by for from in my of on or the to with you";

/// A title's normal form, and its words. None if it has nothing but white space.
#[derive(Clone, PartialEq)]
pub struct Title {
    normal: String,
    words: BTreeSet<String>,
}

impl Title {
    pub fn new(title: &str) -> Option<Title> {
        let plain = title.to_lowercase().replace(['\'', '’', '`'], "");
        let words: Vec<&str> =
            plain.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
        let mut normal = words.join(".");
        if normal.is_empty() {
            normal = title
                .chars()
                .filter(|c| !c.is_whitespace())
                .collect::<BTreeSet<char>>()
                .into_iter()
                .collect();
        }
        let stops: Vec<&str> = STOP.split(' ').collect();
        let says = |word: &&str| word.chars().count() >= 2 && !stops.contains(word);
        let words = words.into_iter().filter(says).map(str::to_owned).collect();
        (!normal.is_empty()).then_some(Title { normal, words })
    }
}

/// A title asked for, with what each of its words counts.
pub struct Asked {
    title: Title,
    counts: BTreeMap<String, u64>,
}

impl Asked {
    /// T, in units of [`MATCH`].
    pub fn matches(&self, other: &Title) -> u64 {
        let shared: u64 =
            self.counts.iter().filter(|(word, _)| other.words.contains(*word)).map(|(_, count)| count).sum();
        if other.normal == self.title.normal { MATCH } else { shared }
    }
}

impl Twin {
    fn titles(&self) -> impl Iterator<Item = (PlaylistId, Title)> {
        self.playlists.iter().filter_map(|(id, held)| Some((*id, Title::new(held.title.as_deref()?)?)))
    }

    /// What the words of a title count: ½ (idf_w / Σ idf)². One that no title has counts as if one had.
    pub(super) fn asked(&self, title: Title) -> Asked {
        let titles: Vec<Title> = self.titles().map(|(_, title)| title).collect();
        let idf = |word: &String| {
            let holding = titles.iter().filter(|title| title.words.contains(word)).count();
            (titles.len().max(1) as f64 / holding.max(1) as f64).ln()
        };
        let all = title.words.iter().map(idf).sum();
        let counts = title.words.iter().map(|w| (w.clone(), word(idf(w), all))).collect();
        Asked { title, counts }
    }

    /// T of every playlist with a title like it.
    pub(super) fn alike(&self, asked: &Asked) -> BTreeMap<PlaylistId, u64> {
        self.titles().map(|(id, title)| (id, asked.matches(&title))).filter(|(_, t)| *t > 0).collect()
    }

    /// Those of them that are read: the best of the samples of the title and of each of its words, by what those
    /// samples tell.
    pub(super) fn alike_read(
        &self,
        asked: &Asked,
        m: u32,
        k: u32,
        but: Option<PlaylistId>,
    ) -> Vec<PlaylistId> {
        let titles: Vec<(PlaylistId, Title)> = self.titles().collect();
        let mut found: BTreeMap<PlaylistId, u64> = BTreeMap::new();
        let mut add = |count: u64, has: &dyn Fn(&Title) -> bool| {
            let all: Vec<PlaylistId> = titles.iter().filter(|(_, t)| has(t)).map(|(id, _)| *id).collect();
            let read = sampled(all, m).into_iter().filter(|p| Some(*p) != but);
            read.for_each(|p| *found.entry(p).or_default() += count);
        };
        add(MATCH, &|title| title.normal == asked.title.normal);
        asked.counts.iter().for_each(|(word, count)| add(*count, &|title| title.words.contains(word)));
        let found = found.into_iter().map(|(p, sum)| (p, sum.min(MATCH))).filter(|(_, sum)| *sum > 0);
        ranked(found.collect()).into_iter().take(k as usize).map(|(p, _)| p).collect()
    }
}
