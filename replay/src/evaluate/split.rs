//! Who is held out, and what is asked about it. A held-out playlist is asked about in every category that it
//! fits; the methods know nothing of it but what a query shows.
//!
//! Who is held out is a pure function of seed and playlist id: neither the order of the files nor other
//! playlists turn the dice. (The challenge has other playlists in each category. With few playlists that wastes
//! most of them; [`super::bootstrap`] draws whole playlists, so errors stay honest.)

use std::fmt;

use segue_dataflow::title::normalise;
use serde::Serialize;

use super::corpus::{Corpus, Playlist, TrackNo};
use super::protocol::{Category, Pick};
use crate::dice::{Dice, scatter};

/// As many as the challenge held out.
const HELD_OUT_MAX: usize = 10_000;
/// Queries of a category at the most, as in the challenge.
const QUERIES_MAX: usize = 1_000;
/// With fewer a category says nothing: left out, and named.
const QUERIES_MIN: usize = 10;

/// A question about a held-out playlist.
#[derive(Debug)]
pub struct Query {
    /// The place of its category.
    pub category: usize,
    /// The place of its playlist in [`Split::held_out`].
    pub playlist: usize,
    /// The title, if it is shown.
    pub title: Option<Box<str>>,
    /// Whether the seeds are a random part of its tracks, not the first.
    pub random: bool,
    /// What is shown.
    pub seeds: Vec<TrackNo>,
    /// What is hidden.
    pub truth: Vec<TrackNo>,
}

/// A category for which the data do not suffice.
#[derive(Clone, Debug, Serialize)]
pub struct Lacking {
    pub category: usize,
    pub name: &'static str,
    /// Held-out playlists that fit.
    pub playlists: usize,
    pub needs: usize,
    /// Tracks that a playlist must have.
    pub lengths: [usize; 2],
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lacking { category, name, playlists, needs, lengths: [shortest, longest] } = self;
        write!(
            f,
            "{category} {name}: {playlists} held-out playlists of {shortest} to {longest} tracks, {needs} needed"
        )
    }
}

/// Playlists on either side.
#[derive(Debug)]
pub struct Split<'a> {
    pub categories: &'static [Category],
    pub held_out: Vec<&'a Playlist>,
    /// What the methods know.
    pub index: Vec<&'a Playlist>,
    /// By playlist, then by category.
    pub queries: Vec<Query>,
    pub lacking: Vec<Lacking>,
}

impl<'a> Split<'a> {
    /// Holds out `wanted` of the playlists that fit a category, or a fifth of them.
    pub fn new(
        corpus: &'a Corpus,
        categories: &'static [Category],
        seed: u64,
        wanted: Option<usize>,
    ) -> Self {
        let fits = |playlist: &&Playlist| {
            categories.iter().any(|c| c.takes(playlist.tracks.len(), title(playlist).is_some()))
        };
        let (mut held_out, mut index): (Vec<&Playlist>, Vec<&Playlist>) =
            corpus.playlists.iter().partition(fits);
        held_out.sort_unstable_by_key(|playlist| (scatter(playlist.id.0 ^ scatter(seed)), playlist.id));
        let wanted = wanted.unwrap_or((held_out.len() / 5).min(HELD_OUT_MAX)).min(held_out.len());
        index.extend(held_out.drain(wanted..));
        index.sort_unstable_by_key(|playlist| playlist.id);
        let mut counts = vec![0; categories.len()];
        let mut queries = Vec::new();
        for (place, playlist) in held_out.iter().enumerate() {
            for (n, category) in categories.iter().enumerate() {
                let fits = category.takes(playlist.tracks.len(), title(playlist).is_some());
                if fits && counts[n] < QUERIES_MAX {
                    counts[n] += 1;
                    queries.push(Query::new((n, category), (place, playlist), seed));
                }
            }
        }
        queries.retain(|query| counts[query.category] >= QUERIES_MIN);
        let few = categories.iter().zip(&counts).filter(|(_, count)| **count < QUERIES_MIN);
        let lacking = few.map(|(category, count)| Lacking {
            category: category.number,
            name: category.name,
            playlists: *count,
            needs: QUERIES_MIN,
            lengths: [category.shortest, category.longest],
        });
        Split { categories, lacking: lacking.collect(), held_out, index, queries }
    }

    /// Shows no titles: the same queries, without those that show nothing else.
    pub fn hide_titles(&mut self) {
        self.queries.retain(|query| !query.seeds.is_empty());
        self.queries.iter_mut().for_each(|query| query.title = None);
    }
}

fn title(playlist: &Playlist) -> Option<&str> {
    playlist.title.as_deref().filter(|title| !normalise(title).is_empty())
}

impl Query {
    fn new((category, rules): (usize, &Category), (place, playlist): (usize, &Playlist), seed: u64) -> Self {
        let mut seeds = playlist.tracks.clone();
        if rules.pick == Pick::Random {
            let mut dice = Dice::new(seed, playlist.id.0);
            for n in 0..rules.seeds {
                let drawn = n + dice.below(seeds.len() - n);
                seeds.swap(n, drawn);
            }
        }
        let truth = seeds.split_off(rules.seeds);
        let title = title(playlist).filter(|_| rules.title).map(Into::into);
        let random = rules.pick == Pick::Random;
        Query { category, playlist: place, title, random, seeds, truth }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use segue_dataflow::ids::PlaylistId;

    use super::super::protocol::Protocol;
    use super::*;

    /// Playlists of 5, 6, … tracks in turn, every seventh without a title.
    fn corpus(playlists: usize) -> Corpus {
        let one = |n: usize| {
            let (id, title) = (PlaylistId(scatter(n as u64)), (!n.is_multiple_of(7)).then(|| "Chill".into()));
            Playlist { id, uri: "".into(), title, tracks: (0..5 + n as u32 % 250).collect() }
        };
        Corpus { playlists: (0..playlists).map(one).collect(), ..Corpus::default() }
    }

    #[test]
    fn every_playlist_is_on_one_side_and_queries_show_what_the_category_says() {
        let corpus = corpus(3_000);
        let split = Split::new(&corpus, Protocol::Recsys18.categories(), 7, None);
        let ids = |side: &[&Playlist]| side.iter().map(|p| p.id).collect::<BTreeSet<_>>();
        let (out, index) = (ids(&split.held_out), ids(&split.index));
        assert!(out.is_disjoint(&index) && out.len() + index.len() == 3_000);
        assert!(out.len() > 500, "{}", out.len());
        assert!(split.lacking.is_empty() && split.queries.len() > 1_000);
        for query in &split.queries {
            let (category, playlist) = (&split.categories[query.category], split.held_out[query.playlist]);
            assert_eq!((query.seeds.len(), query.title.is_some()), (category.seeds, category.title));
            let both: BTreeSet<_> = query.seeds.iter().chain(&query.truth).collect();
            assert_eq!(both, playlist.tracks.iter().collect());
            let first = query.seeds == playlist.tracks[..category.seeds];
            assert_eq!(first, category.pick == Pick::First);
        }
    }

    #[test]
    fn without_titles_the_same_is_asked_but_for_what_shows_titles_only() {
        let corpus = corpus(3_000);
        let split = || Split::new(&corpus, Protocol::Recsys18.categories(), 7, None);
        let (before, mut after) = (split(), split());
        after.hide_titles();
        assert!(after.queries.iter().all(|query| query.title.is_none()));
        let asked = |split: &Split<'_>| {
            let seeded = split.queries.iter().filter(|query| split.categories[query.category].seeds > 0);
            seeded.map(|query| (query.category, query.playlist, query.seeds.clone())).collect::<Vec<_>>()
        };
        assert_eq!(asked(&before), asked(&after));
        assert!(before.queries.iter().any(|query| query.title.is_some()));
        assert!(after.queries.len() == asked(&after).len() && before.queries.len() > after.queries.len());
    }

    #[test]
    fn neither_order_nor_other_playlists_matter() {
        let mut more = corpus(400);
        let held = |corpus: &Corpus, seed, count| {
            let split = Split::new(corpus, Protocol::Recsys18.categories(), seed, Some(count));
            split.held_out.iter().map(|p| p.id).collect::<Vec<_>>()
        };
        let before = held(&more, 3, 50);
        more.playlists.reverse();
        assert_eq!(held(&more, 3, 50), before);
        assert_ne!(held(&more, 4, 50), before);
        more.playlists.retain(|p| before[0] == p.id || p.id.0 % 2 == 0);
        assert_eq!(held(&more, 3, 1), before[..1]);
    }

    #[test]
    fn what_lacks_playlists_is_named() {
        let mut few = corpus(100);
        few.playlists.retain(|p| p.tracks.len() <= 60);
        let split = Split::new(&few, Protocol::Recsys18.categories(), 1, Some(45));
        let lacking: Vec<_> = split.lacking.iter().map(|lack| (lack.category, lack.playlists)).collect();
        assert_eq!(lacking, [(7, 0), (8, 0), (9, 0), (10, 0)]);
        assert_eq!(
            split.lacking[0].to_string(),
            "7 title, first 25: 0 held-out playlists of 101 to 250 tracks, 10 needed"
        );
    }
}
