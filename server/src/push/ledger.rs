//! What stands in Redis as far as is known, and whether there is room for more.

use std::collections::VecDeque;
use std::time::Instant;

use rustc_hash::FxHashMap;
use segue_dataflow::ids::TrackId;

/// Keys that are not of rows: two charts and the state.
const OTHERS: usize = 3;

/// Which of them the state is; charts come before it.
pub const STATE: usize = 2;

/// A row that stands there, or may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its track.
    pub uri: Box<str>,
    /// The epoch that its value has; 0 if that is not known.
    pub epoch: u64,
    /// Of its value but for the epoch.
    pub hash: u64,
    /// Of key and value.
    bytes: usize,
}

/// All of it.
pub struct Ledger {
    rows: FxHashMap<TrackId, Held>,
    /// Of rows that are gone and still take room: until when, and how much.
    gone: VecDeque<(Instant, usize)>,
    /// Bytes of all the above.
    bytes: usize,
    /// Bytes of what is no row.
    others: [usize; OTHERS],
    /// Bytes that it is to have: rows give way to it.
    wanted: [usize; OTHERS],
    most_keys: usize,
    most_bytes: u64,
}

impl Ledger {
    /// Nothing yet, and never more than this.
    pub fn new(most_keys: usize, most_bytes: u64) -> Self {
        let (rows, gone, bytes, others, wanted) = Default::default();
        Ledger { rows, gone, bytes, others, wanted, most_keys, most_bytes }
    }

    /// What stands there of a track.
    pub fn get(&self, track: TrackId) -> Option<&Held> {
        self.rows.get(&track)
    }

    /// All tracks of which something stands there.
    pub fn tracks(&self) -> impl Iterator<Item = TrackId> {
        self.rows.keys().copied()
    }

    /// A row with so many bytes is to be set: whether there is room. If so, it may stand there from now on.
    pub fn intend(&mut self, track: TrackId, uri: &str, bytes: usize) -> bool {
        let (keys, there) = match self.rows.get(&track) {
            Some(held) => (self.keys(), held.bytes),
            None => (self.keys() + 1, 0),
        };
        let rows = (self.bytes - there + bytes) as u64;
        let fits = keys <= self.most_keys && (bytes <= there || rows <= self.left_by_others());
        if fits {
            // Until it is known to be set, either may stand there.
            let larger = bytes.max(there);
            self.bytes += larger - there;
            self.rows.insert(track, Held { uri: uri.into(), epoch: 0, hash: 0, bytes: larger });
        }
        fits
    }

    /// A row was set, with so many bytes and this hash; or there was a newer one, if `epoch` is 0.
    pub fn set(&mut self, track: TrackId, epoch: u64, hash: u64, bytes: usize) {
        if let Some(held) = self.rows.get_mut(&track) {
            self.bytes = self.bytes - held.bytes + bytes;
            (held.epoch, held.hash, held.bytes) = (epoch, hash, bytes);
        }
    }

    /// Whether what stands there of a track has this hash, as far as is known.
    pub fn is(&self, track: TrackId, hash: u64) -> bool {
        self.get(track).is_some_and(|held| held.epoch > 0 && held.hash == hash)
    }

    /// What stands there of a track is not known any more.
    pub fn doubt(&mut self, track: TrackId) {
        self.rows.get_mut(&track).into_iter().for_each(|held| held.epoch = 0);
    }

    /// Of no track it is known any more.
    pub fn doubt_all(&mut self) {
        self.rows.values_mut().for_each(|held| held.epoch = 0);
    }

    /// Nothing stands there of a track any more.
    pub fn remove(&mut self, track: TrackId) {
        self.bytes -= self.rows.remove(&track).map_or(0, |held| held.bytes);
    }

    /// Of a track, only that its row is gone stands there, with so many bytes, until then.
    pub fn leave(&mut self, track: TrackId, until: Instant, bytes: usize) {
        self.remove(track);
        self.gone.push_back((until, bytes));
        self.bytes += bytes;
    }

    /// What has gone by itself takes no room any more.
    pub fn forget_gone(&mut self, now: Instant) {
        let over = self.gone.partition_point(|(until, _)| *until <= now);
        self.bytes -= self.gone.drain(..over).map(|(_, bytes)| bytes).sum::<usize>();
    }

    /// Something that is no row is to be set: whether there is room. If not, some is kept for it as soon as rows leave
    /// any.
    pub fn other(&mut self, number: usize, bytes: usize) -> bool {
        let there = std::mem::replace(&mut self.others[number], 0);
        let others: usize = self.others.iter().sum();
        // What has no room without any rows gets none.
        let may = (others + bytes) as u64 <= self.most_bytes;
        // Some more than that: it is not to be asked for at every small growth.
        self.wanted[number] = if may { bytes + bytes / 8 } else { there };
        let fits = self.bytes() + bytes as u64 <= self.most_bytes;
        self.others[number] = if fits { bytes } else { there };
        fits
    }

    /// What rows are to leave for all that is no row.
    pub fn wanted(&self) -> usize {
        self.others.iter().zip(self.wanted).map(|(there, wanted)| wanted.max(*there)).sum()
    }

    /// Keys there.
    pub fn keys(&self) -> usize {
        self.rows.len() + self.gone.len() + OTHERS
    }

    /// Bytes of keys and values there.
    pub fn bytes(&self) -> u64 {
        (self.bytes + self.others.iter().sum::<usize>()) as u64
    }

    /// What there is for rows.
    fn left_by_others(&self) -> u64 {
        self.most_bytes.saturating_sub(self.wanted() as u64)
    }

    /// How many of these tracks there is room for, the first ones first; rows that do not stand there yet are taken
    /// to be as large as the others.
    pub fn room_for(&self, tracks: &[TrackId]) -> usize {
        let rows: usize = self.rows.values().map(|held| held.bytes).sum();
        let mean = rows.checked_div(self.rows.len()).unwrap_or(0);
        let mut left = self.left_by_others();
        let fits = |track: &&TrackId| {
            let bytes = self.rows.get(track).map_or(mean, |held| held.bytes) as u64;
            left.checked_sub(bytes).map(|rest| left = rest).is_some()
        };
        tracks.iter().take(self.most_keys - OTHERS).take_while(fits).count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn there_is_never_more_than_there_is_room_for() {
        let mut ledger = Ledger::new(6, 101);
        let tracks = [1, 2, 3, 4].map(TrackId);
        assert!(
            ledger.other(0, 10) && ledger.intend(tracks[0], "a", 30) && ledger.intend(tracks[1], "b", 30)
        );
        assert_eq!((ledger.keys(), ledger.bytes()), (5, 70));
        assert!(!ledger.intend(tracks[2], "c", 31), "too large");
        assert!(ledger.intend(tracks[2], "c", 30));
        assert!(!ledger.intend(tracks[3], "d", 0), "too many");
        // One that shrinks may stand there as it was until it is known to be set.
        assert!(ledger.intend(tracks[0], "a", 10));
        assert_eq!((ledger.bytes(), ledger.get(tracks[0]).map(|held| held.epoch)), (100, Some(0)));
        ledger.set(tracks[0], 7, 70, 10);
        assert!(ledger.is(tracks[0], 70) && !ledger.is(tracks[0], 71) && !ledger.is(tracks[1], 0));
        assert_eq!((ledger.bytes(), ledger.get(tracks[0]).map(|held| held.epoch)), (80, Some(7)));
        assert!(ledger.other(0, 30) && !ledger.other(1, 2));
        let now = Instant::now();
        ledger.leave(tracks[2], now + Duration::from_secs(60), 5);
        assert_eq!((ledger.keys(), ledger.bytes()), (6, 75));
        ledger.forget_gone(now);
        assert!(!ledger.intend(tracks[3], "d", 10), "what is left of one that is gone takes room");
        ledger.forget_gone(now + Duration::from_secs(60));
        assert_eq!((ledger.keys(), ledger.bytes()), (5, 70));
        ledger.remove(tracks[2]);
        ledger.doubt_all();
        assert!(ledger.tracks().all(|track| ledger.get(track).is_some_and(|held| held.epoch == 0)));
        assert_eq!((ledger.keys(), ledger.bytes()), (5, 70));
    }

    #[test]
    fn the_first_get_the_room_there_is() {
        let mut ledger = Ledger::new(6, 100);
        let tracks = [1, 2, 3, 4].map(TrackId);
        assert_eq!(ledger.room_for(&tracks), 3);
        assert!(ledger.intend(tracks[3], "d", 60) && ledger.other(1, 10));
        assert_eq!(ledger.room_for(&tracks), 1);
        assert!(ledger.intend(tracks[0], "a", 10));
        assert_eq!((ledger.room_for(&tracks), ledger.room_for(&tracks[..2])), (3, 2));
        // What is no row comes before all.
        assert!(!ledger.other(1, 60));
        assert_eq!(ledger.room_for(&tracks), 1);
        assert!(!ledger.intend(tracks[1], "b", 10) && ledger.intend(tracks[3], "d", 50));
        // But not what would have no room by itself.
        assert!(!ledger.other(1, 101));
        assert_eq!(ledger.room_for(&tracks), 3);
    }
}
