//! Notes: what one edit means to tracks, on the way to the workers that own them.

use serde::{Deserialize, Serialize};

use crate::apply::Said;
use crate::day::Day;
use crate::edit::{Mentions, Names, Op};
use crate::ids::TrackId;

/// What one edit means to the tracks of one worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// The worker that owns the tracks.
    pub to: u64,
    /// Position of the edit on the log.
    pub seq: u64,
    /// What it says.
    pub news: News,
}

/// What a note says about some tracks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum News {
    /// One more playlist holds them.
    Gained(Mentions),
    /// An entry that was there already came with newer names.
    Named(Mentions),
    /// One less playlist holds them.
    Lost(Vec<TrackId>),
    /// They are described.
    Described(Mentions),
    /// Their described names go.
    Forgotten(TrackId),
    /// So many more of their present entries were added on these days.
    Dated {
        /// Track, day, how many.
        additions: Vec<(TrackId, Day, i32)>,
        /// Days before this one need not be kept any more.
        first: Day,
    },
}

impl Note {
    /// What an edit that is about a track itself means.
    pub fn about(seq: u64, op: Op, peers: u64) -> Option<Note> {
        let (to, news) = match op {
            Op::Described(track) => (track.iter().next()?.id.0, News::Described(track)),
            Op::Forgotten(track) => (track.0, News::Forgotten(track)),
            Op::Playlist { .. } => return None,
        };
        Some(Note { to: to % peers, seq, news })
    }

    /// What changed in when entries were added, to the owners of their tracks. It has no place on the log.
    pub fn dated(additions: Vec<(TrackId, Day, i32)>, first: Day, peers: u64) -> impl Iterator<Item = Note> {
        let mut parts: Vec<Vec<_>> = (0..peers).map(|_| Vec::new()).collect();
        additions.into_iter().for_each(|one| parts[(one.0.0 % peers) as usize].push(one));
        let parts = (0..).zip(parts).filter(|(_, additions)| !additions.is_empty());
        parts.map(move |(to, additions)| Note { to, seq: 0, news: News::Dated { additions, first } })
    }
}

/// The notes that one edit of a playlist makes, while they are written.
pub struct Notes {
    seq: u64,
    parts: Vec<(Mentions, Mentions, Vec<TrackId>)>,
}

impl Notes {
    /// For the edit at `seq`, to `peers` workers.
    pub fn new(seq: u64, peers: u64) -> Self {
        Notes { seq, parts: (0..peers).map(|_| Default::default()).collect() }
    }

    /// Adds what the edit means to one track.
    pub fn add(&mut self, track: TrackId, said: Said<'_>) {
        let owner = (track.0 % self.parts.len() as u64) as usize;
        let (gained, named, lost) = &mut self.parts[owner];
        match said {
            Said::Gained(uri, names) => gained.push(track, uri, names),
            Said::Named(uri, names) => named.push(track, uri, Some::<Box<Names>>(names)),
            Said::Lost => lost.push(track),
        }
    }

    /// The notes, only such as say something.
    pub fn finish(self) -> impl Iterator<Item = Note> {
        let seq = self.seq;
        (0..).zip(self.parts).flat_map(move |(to, (gained, named, lost))| {
            let gained = (!gained.is_empty()).then_some(News::Gained(gained));
            let named = (!named.is_empty()).then_some(News::Named(named));
            let lost = (!lost.is_empty()).then_some(News::Lost(lost));
            [gained, named, lost].into_iter().flatten().map(move |news| Note { to, seq, news })
        })
    }
}
