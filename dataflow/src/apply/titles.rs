//! Changes of titles, and of how many playlists have each.

use rustc_hash::FxHashMap;

use super::Count;
use crate::ids::{PlaylistId, TitleId};
use crate::title;

/// What some edits changed.
#[derive(Default)]
pub struct Titles {
    /// Title or word, and playlist.
    pub changes: Vec<((TitleId, PlaylistId), u64, i32)>,
    titled: i32,
}

impl Titles {
    /// A playlist gets a title, or (-1) loses it.
    pub fn change(&mut self, playlist: PlaylistId, epoch: u64, title: Option<&str>, diff: i32) {
        let keys = title.map(title::keys).unwrap_or_default();
        self.titled += if keys.is_empty() { 0 } else { diff };
        self.changes.extend(keys.into_iter().map(|key| ((key, playlist), epoch, diff)));
    }

    /// What that does to the counts.
    pub fn counts(&self) -> impl Iterator<Item = Count> + use<> {
        let mut net: FxHashMap<TitleId, i32> = FxHashMap::default();
        self.changes.iter().for_each(|((key, _), _, diff)| *net.entry(*key).or_default() += diff);
        let titled = Some(Count::Titled(self.titled)).filter(|_| self.titled != 0);
        let counts = net.into_iter().filter(|(_, diff)| *diff != 0);
        counts.map(|(key, diff)| Count::Title(key, diff)).chain(titled)
    }
}
