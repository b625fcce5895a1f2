//! How many playlists have each title, and each word in theirs.

use super::book::Book;
use crate::ids::TitleId;

/// Counts of titles and their words, as-of any held epoch.
#[derive(Default)]
pub struct Titles {
    counts: Book<TitleId, u32>,
    titled: Book<(), u32>,
}

impl Titles {
    /// Counts `diff` more playlists under this key, from `epoch` on.
    pub fn add(&mut self, epoch: u64, key: TitleId, diff: i32) {
        let count = self.counts.newest(&key).copied().unwrap_or(0).saturating_add_signed(diff);
        self.counts.set(epoch, key, (count > 0).then_some(count));
    }

    /// Counts `diff` more playlists that have a title, from `epoch` on.
    pub fn add_titled(&mut self, epoch: u64, diff: i32) {
        let count = self.titled.newest(&()).copied().unwrap_or(0).saturating_add_signed(diff);
        self.titled.set(epoch, (), Some(count));
    }

    /// Playlists that have this title, or this word in theirs, as-of `epoch`.
    pub fn of(&self, key: TitleId, epoch: u64) -> u32 {
        self.counts.get(&key, epoch).copied().unwrap_or(0)
    }

    /// Playlists that have a title, as-of `epoch`.
    pub fn titled(&self, epoch: u64) -> u32 {
        self.titled.get(&(), epoch).copied().unwrap_or(0)
    }

    /// Promises to read only as-of `since` or later.
    pub fn forget_before(&mut self, since: u64) {
        self.counts.forget_before(since);
        self.titled.forget_before(since);
    }

    /// Epochs that can still be told apart.
    pub fn epochs(&self) -> usize {
        self.counts.epochs()
    }
}
