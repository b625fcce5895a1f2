//! What is asked: the categories of the RecSys Challenge 2018.
//!
//! A category takes playlists of certain lengths, shows a method their title, or some of their tracks, or both,
//! and wants the tracks that it hid. The lengths are those of the challenge's own playlists, as far as they are
//! known.

use clap::ValueEnum;
use serde::Serialize;

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The RecSys Challenge 2018.
    Recsys18,
}

/// Which tracks of a playlist are its seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Its first ones.
    First,
    /// A fair draw of them.
    Random,
}

/// One kind of query.
#[derive(Clone, Copy, Debug)]
pub struct Category {
    /// From 1, as the challenge counts them.
    pub number: usize,
    /// What is shown.
    pub name: &'static str,
    /// Whether the title is.
    pub title: bool,
    /// How many tracks are.
    pub seeds: usize,
    /// Which ones.
    pub pick: Pick,
    /// Tracks of a playlist at least.
    pub shortest: usize,
    /// Tracks of a playlist at most.
    pub longest: usize,
}

const fn category(
    number: usize,
    name: &'static str,
    (title, seeds, pick): (bool, usize, Pick),
    (shortest, longest): (usize, usize),
) -> Category {
    Category { number, name, title, seeds, pick, shortest, longest }
}

const RECSYS18: [Category; 10] = [
    category(1, "title only", (true, 0, Pick::First), (10, 50)),
    category(2, "title, first track", (true, 1, Pick::First), (10, 78)),
    category(3, "title, first 5", (true, 5, Pick::First), (10, 100)),
    category(4, "first 5", (false, 5, Pick::First), (10, 100)),
    category(5, "title, first 10", (true, 10, Pick::First), (40, 100)),
    category(6, "first 10", (false, 10, Pick::First), (40, 100)),
    category(7, "title, first 25", (true, 25, Pick::First), (101, 250)),
    category(8, "title, random 25", (true, 25, Pick::Random), (101, 250)),
    category(9, "title, first 100", (true, 100, Pick::First), (150, 250)),
    category(10, "title, random 100", (true, 100, Pick::Random), (150, 250)),
];

impl Protocol {
    /// Its categories.
    pub fn categories(self) -> &'static [Category] {
        match self {
            Protocol::Recsys18 => &RECSYS18,
        }
    }
}

impl Category {
    /// Whether a playlist of so many tracks, with a title or without, can be asked for in it.
    pub fn takes(&self, tracks: usize, titled: bool) -> bool {
        (self.shortest..=self.longest).contains(&tracks) && (titled || !self.title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_hides_something() {
        for (n, category) in RECSYS18.iter().enumerate() {
            assert_eq!(category.number, n + 1);
            assert!(category.seeds < category.shortest && category.shortest < category.longest);
            assert!(category.title || category.seeds > 0, "{}", category.name);
        }
    }

    #[test]
    fn a_playlist_fits_by_length_and_title() {
        let fits = |tracks, titled| {
            let fitting = RECSYS18.iter().filter(|category| category.takes(tracks, titled));
            fitting.map(|category| category.number).collect::<Vec<_>>()
        };
        assert_eq!(fits(9, true), [0; 0]);
        assert_eq!(fits(10, true), [1, 2, 3, 4]);
        assert_eq!(fits(50, true), [1, 2, 3, 4, 5, 6]);
        assert_eq!(fits(50, false), [4, 6]);
        assert_eq!(fits(100, true), [3, 4, 5, 6]);
        assert_eq!(fits(101, true), [7, 8]);
        assert_eq!(fits(250, true), [7, 8, 9, 10]);
        assert_eq!(fits(251, true), [0; 0]);
    }
}
