//! The state as anybody would keep it: a map of sets, and nothing of the engine but decoding and the digest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use segue_connectors::embedded::{Embedded, Options, folder_of};
use segue_connectors::log::Log;
use segue_dataflow::digest::Digest;
use segue_dataflow::event::{Change, decode};
use segue_dataflow::ids::{PlaylistId, TrackId};

#[derive(Default)]
pub struct Twin(BTreeMap<String, BTreeSet<String>>);

impl Twin {
    pub fn apply(&mut self, event: &[u8]) {
        match decode(event).expect("an event").change {
            Change::PlaylistPut { playlist, tracks, .. } => {
                *self.tracks(&playlist) = tracks.into_iter().map(|track| track.uri.into_owned()).collect();
            }
            Change::TrackAdded { playlist, track } => {
                self.tracks(&playlist).insert(track.uri.into_owned());
            }
            Change::TrackRemoved { playlist, track } => {
                self.tracks(&playlist).remove(&*track);
            }
            Change::PlaylistDeleted { playlist } => {
                self.0.remove(&*playlist);
            }
            Change::PlaylistTitled { .. } | Change::TrackDescribed { .. } | Change::TrackForgotten { .. } => {
            }
        }
    }

    fn tracks(&mut self, playlist: &str) -> &mut BTreeSet<String> {
        self.0.entry(playlist.to_owned()).or_default()
    }

    pub fn entries(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    pub fn digest(&self) -> String {
        let mut digest = Digest::default();
        for (playlist, tracks) in &self.0 {
            tracks.iter().for_each(|t| digest.update(PlaylistId::of(playlist), TrackId::of(t), 1));
        }
        digest.to_string()
    }
}

/// All records of the log of a server that is down.
pub fn log_of(folder: &Path) -> Vec<Vec<u8>> {
    let log =
        Embedded::open(&folder_of(&folder.join("data")), Options::default()).expect("nobody has it").log;
    let (mut records, end) = (Vec::new(), log.end(0).expect("a partition"));
    while (records.len() as u64) < end {
        let read = log.read(0, records.len() as u64, 1 << 20).expect("readable");
        records.extend(read.records.into_iter().map(|stored| stored.payload.unwrap_or_default().to_vec()));
    }
    records
}
