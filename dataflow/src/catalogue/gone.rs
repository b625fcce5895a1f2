//! URIs of tracks that have gone of late: whoever reads an earlier step of the graph finds them in its rows.
//!
//! Cards are not held back to the step for that: while much is loaded the graph waits, and the cards of all new tracks
//! would have to be told from none before.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::ids::TrackId;

/// Tracks for which there is always room.
const ROOM_MIN: usize = 1024;

/// Where a track went, ascending: most often once.
type Went = SmallVec<[(u64, Box<str>); 1]>;

/// Tracks that went after what is held.
#[derive(Default)]
pub struct Gone {
    tracks: FxHashMap<TrackId, Went>,
    /// What is in `tracks`, by epoch.
    order: VecDeque<(u64, TrackId)>,
}

impl Gone {
    /// A track goes. Epochs come in order.
    pub fn add(&mut self, epoch: u64, track: TrackId, uri: Box<str>) {
        self.tracks.entry(track).or_default().push((epoch, uri));
        self.order.push_back((epoch, track));
    }

    /// The URI of a track that was there as-of `epoch` and went later.
    pub fn uri(&self, track: TrackId, epoch: u64) -> Option<&str> {
        let went = self.tracks.get(&track)?.iter().find(|(at, _)| *at > epoch);
        went.map(|(_, uri)| &**uri)
    }

    /// Promises to read only as-of `since` or later.
    pub fn forget_before(&mut self, since: u64) {
        let forgotten = self.order.partition_point(|(epoch, _)| *epoch <= since);
        for (_, track) in self.order.drain(..forgotten) {
            if let Some(went) = self.tracks.get_mut(&track) {
                went.remove(0);
                if went.is_empty() {
                    self.tracks.remove(&track);
                }
            }
        }
        // What a burst had grown is given back.
        let room = 2 * self.order.len() + ROOM_MIN;
        if self.order.capacity() > 4 * room {
            self.order.shrink_to(room);
            self.tracks.shrink_to(room);
        }
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_after_an_epoch_is_found_as_of_it() {
        let mut gone = Gone::default();
        gone.add(3, TrackId(1), "one".into());
        gone.add(5, TrackId(2), "two".into());
        gone.add(5, TrackId(1), "other".into());
        let seen =
            |gone: &Gone, track| [2, 3, 4, 5].map(|epoch| gone.uri(TrackId(track), epoch).map(String::from));
        let other = || Some("other".to_owned());
        assert_eq!(seen(&gone, 1), [Some("one".to_owned()), other(), other(), None]);
        gone.forget_before(4);
        assert_eq!(
            (gone.len(), gone.uri(TrackId(1), 4), gone.uri(TrackId(2), 4)),
            (2, Some("other"), Some("two"))
        );
        gone.forget_before(5);
        assert_eq!((gone.len(), gone.tracks.len()), (0, 0));
    }
}
