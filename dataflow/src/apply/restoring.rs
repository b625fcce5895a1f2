//! The state that a worker goes on from, a slice at a time: each becomes a batch of its own, at a time of its
//! own before all epochs, so that what comes after `apply` is never given all of it at once.

use differential_dataflow::trace::implementations::ValBuilder;
use differential_dataflow::trace::{Builder, Description, Span};
use timely::dataflow::operators::Capability;
use timely::progress::Antichain;

use super::{Playlist, Totals};
use crate::ids::{PlaylistId, TitleId, TrackId};
use crate::snapshot::Share;
use crate::title;
use crate::views::batch::Batch;
use crate::views::book::Book;

/// What is left of it.
pub struct Restoring {
    share: Share,
    from: usize,
    /// On every output, the right to say something at the time of the next slice.
    caps: Vec<Capability<u64>>,
}

/// One slice.
pub struct Restored {
    /// For the arrangement.
    pub span: Span<u64, Batch<PlaylistId, TrackId>>,
    /// On every output, the right to tell of it.
    pub at: Vec<Capability<u64>>,
    /// Titles of its playlists.
    pub titles: Vec<((TitleId, PlaylistId), u64, i32)>,
}

impl Restoring {
    /// To be told with these rights.
    pub fn new(share: Share, caps: Vec<Capability<u64>>) -> Self {
        Restoring { share, from: 0, caps }
    }

    /// The next slice, of which the book takes the playlists; none at the end.
    pub fn next(&mut self, book: &mut Book<PlaylistId, Playlist>) -> Option<Restored> {
        let slice = self.share.slice(self.from);
        let time = slice.first().and(self.caps.first()).map(|cap| *cap.time())?;
        let (mut builder, mut updates) = (ValBuilder::<_, _, u64, i32>::default(), Vec::new());
        let mut titles = Vec::new();
        for (id, playlist, tracks) in &slice {
            updates.extend(tracks.iter().map(|track| ((*id, *track), time, 1)));
            if !updates.is_empty() {
                builder.push(&mut updates);
                updates.clear();
            }
            let keys = playlist.title.as_deref().map(title::keys).unwrap_or_default();
            titles.extend(keys.into_iter().map(|key| ((key, *id), time, 1)));
            book.set(0, *id, Some((*playlist).clone()));
        }
        self.from += slice.len();
        let [lower, upper] = [time, time + 1].map(Antichain::from_elem);
        let desc = Description::new(lower, upper, Antichain::from_elem(0));
        let at = self.caps.clone();
        self.caps.iter_mut().for_each(|cap| cap.downgrade(&(time + 1)));
        Some(Restored { span: Span::new(desc, builder.done().map(Batch::from)), at, titles })
    }

    /// Sums over all of it.
    pub fn totals(&self) -> Totals {
        self.share.totals
    }
}
