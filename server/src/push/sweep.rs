//! A sweep looks after all keys: those of rows that are gone go, the others are kept for longer, and those that are
//! not there any more, or not as they were set, are set again.

use rustc_hash::FxHashSet;
use segue_connectors::redis::{Connection, Error};
use segue_dataflow::ids::TrackId;

use super::ledger::Ledger;

/// Rows that are looked after together.
const LOOKED: usize = 1_000;

/// One at work.
pub struct Sweep {
    /// Tracks that have keys and are to have none, then those that are to have some.
    tracks: Vec<TrackId>,
    /// The latter: they had rows as-of the epoch.
    wanted: FxHashSet<TrackId>,
    /// As-of which no others had rows.
    epoch: u64,
    stage: Stage,
    /// Whether what stands there is in doubt.
    first: bool,
}

/// From where on.
pub enum Begin {
    /// All keys, before anything else is done.
    First,
    /// All keys.
    Keys,
    /// What is known to stand there.
    Rows,
}

enum Stage {
    /// Whatever stands there is looked at, from here on.
    Keys(u64),
    /// What is to stand there is looked at, from here on.
    Rows(usize),
}

/// What came of a part of a sweep.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tracks whose rows are to be set.
    pub missing: Vec<TrackId>,
    /// Commands that were sent.
    pub commands: usize,
    /// Whether that was all.
    pub done: bool,
}

impl Sweep {
    /// For these `wanted` tracks to have keys, as-of this epoch, and no others: those that are known to have some are
    /// `gone`.
    pub fn new(gone: Vec<TrackId>, wanted: Vec<TrackId>, epoch: u64, from: &Begin) -> Self {
        let (mut tracks, known) = (gone, wanted.iter().copied().collect());
        tracks.extend(wanted);
        let stage = if matches!(from, Begin::Rows) { Stage::Rows(0) } else { Stage::Keys(0) };
        Sweep { tracks, wanted: known, epoch, stage, first: matches!(from, Begin::First) }
    }

    /// Whether it comes before all else: there may be more than there is room for.
    pub fn is_first(&self) -> bool {
        self.first && matches!(self.stage, Stage::Keys(_))
    }

    /// Does a part of it; at most `most` rows are missing then.
    pub fn go_on(
        &mut self,
        connection: &mut Connection,
        ledger: &mut Ledger,
        most: usize,
    ) -> Result<Swept, Error> {
        match self.stage {
            Stage::Keys(from) => {
                let (next, keys) = connection.scan(from)?;
                let layout = connection.layout().clone();
                let (mut strange, mut new) = (Vec::new(), Vec::new());
                for key in &keys {
                    let uri = layout.track(key).unwrap_or_default();
                    let track = TrackId::of(uri);
                    match ledger.get(track) {
                        Some(held) if *held.uri == *uri => {}
                        None if self.wanted.contains(&track) => new.push((key.as_str(), track, uri)),
                        _ => strange.push(key.as_str()),
                    }
                }
                // One that is wanted is known from now on, and takes room: its row may go before it is pushed.
                let lengths = connection.lengths(new.iter().map(|(key, ..)| *key))?;
                for ((key, track, uri), length) in new.iter().zip(lengths) {
                    if !ledger.intend(*track, uri, key.len() + length) {
                        strange.push(key);
                    }
                }
                connection.delete(strange.iter().copied(), self.epoch)?;
                self.stage = if next == 0 { Stage::Rows(0) } else { Stage::Keys(next) };
                // A page is as much work as some rows.
                Ok(Swept { commands: new.len() + strange.len() + 10, ..Swept::default() })
            }
            Stage::Rows(from) => {
                let some = &self.tracks[from..self.tracks.len().min(from + LOOKED.min(most))];
                let of = |track: &TrackId| {
                    ledger.get(*track).filter(|held| held.epoch > 0 && self.wanted.contains(track))
                };
                let (known, mut missing): (Vec<TrackId>, Vec<TrackId>) =
                    some.iter().partition(|track| of(track).is_some());
                let keys: Vec<(String, u64)> = known
                    .iter()
                    .filter_map(|track| {
                        of(track).map(|held| (connection.layout().row(&held.uri), held.epoch))
                    })
                    .collect();
                let kept = connection.touch(keys.iter().map(|(key, epoch)| (&**key, *epoch)))?;
                for (track, _) in known.iter().zip(kept).filter(|(_, kept)| !*kept) {
                    ledger.doubt(*track);
                    missing.push(*track);
                }
                self.stage = Stage::Rows(from + some.len());
                let done = from + some.len() == self.tracks.len();
                Ok(Swept { missing, commands: known.len(), done })
            }
        }
    }
}
