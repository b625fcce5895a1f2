//! Playlists whose title is like the one asked for.

use serde::{Deserialize, Serialize};

use crate::ids::{PlaylistId, TitleId};
use crate::query::tally::{SOME_IDS, Tally};
use crate::sample;
use crate::scoring::{MATCH_ONE, Wanted, best};
use crate::views::Views;

/// Asks for playlists with a like title.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Titled {
    /// Ids of the title and of its words.
    pub keys: Vec<TitleId>,
    /// Playlists read per key, at least: a title has a sample like a track.
    pub sample: u32,
    /// How many playlists are wanted.
    pub limit: usize,
    /// Not this one.
    pub but: Option<PlaylistId>,
}

impl Titled {
    /// The best of those in the samples of the keys, by what they share of them.
    pub fn run(&self, views: &Views, epoch: u64) -> Vec<(PlaylistId, u64)> {
        let mut wanted = wanted(views, &self.keys, epoch).keys;
        wanted.sort_unstable();
        let (keys, last): (Vec<TitleId>, Vec<PlaylistId>) = {
            let titles = &views.popularity.read().titles;
            let last = |key| sample::last(sample::level(titles.of(key, epoch), self.sample));
            wanted.iter().map(|(key, _)| (*key, PlaylistId(last(*key)))).unzip()
        };
        let found = Tally::with(SOME_IDS, |sums| {
            views.by_title.find(&keys, |i| last[i]).updates(epoch, |i, playlist, diff| {
                sums.add(playlist.0, wanted[i].1 as i64 * i64::from(diff));
            });
            let found = sums.iter().map(|(id, sum)| (PlaylistId(id), sum.min(MATCH_ONE)));
            found.filter(|(playlist, _)| Some(*playlist) != self.but).collect()
        });
        best(found, self.limit)
    }
}

/// What sharing each key of a title counts.
pub fn wanted(views: &Views, keys: &[TitleId], epoch: u64) -> Wanted {
    let titles = &views.popularity.read().titles;
    Wanted::new(keys, titles.titled(epoch), |key| titles.of(key, epoch))
}

/// T: how well the titles of these playlists, ascending, match the one asked for, in units of 2^-20. The posting
/// lists of what is asked for tell: no title has to be taken apart.
pub fn matches(views: &Views, wanted: &Wanted, playlists: &[PlaylistId], epoch: u64) -> Vec<u64> {
    let mut sums = vec![0; playlists.len()];
    for (key, count) in &wanted.keys {
        let count = *count as i64;
        views.by_title.among(*key, playlists, epoch, |i, diff| sums[i] += count * i64::from(diff));
    }
    sums.into_iter().map(|sum: i64| sum.unsigned_abs().min(MATCH_ONE)).collect()
}
