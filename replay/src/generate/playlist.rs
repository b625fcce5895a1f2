//! One playlist after the other.

use std::ops::ControlFlow;

use rustc_hash::FxHashSet;
use segue_dataflow::event::TRACKS_MAX;

use super::curve::{length, title_rank};
use super::genres::GENRES;
use super::names::title;
use super::world::{Taste, TrackNo, World};
use crate::dice::{Dice, scatter};
use crate::source::{Describer, Sink};

/// 2010-06-01 and 2017-11-01, between which the playlists were last changed, in days since 1970.
const DAYS: (i64, i64) = (14_761, 17_471);
const SECONDS_A_DAY: i64 = 86_400;

/// A made-up playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    /// Its number.
    pub pid: u64,
    /// Its title, as its owner writes it.
    pub title: String,
    /// When it was last changed, in seconds since the Unix epoch.
    pub modified_at_s: i64,
    /// Its tracks, each once.
    pub tracks: Vec<TrackNo>,
    /// The taste behind it.
    pub(super) taste: Taste,
    /// Followers; most playlists have one.
    pub(super) followers: u64,
}

/// All playlists of a seed, in the order of their pids.
#[derive(Clone, Debug)]
pub struct Playlists {
    world: World,
    seed: u64,
    next: u64,
    end: u64,
}

impl Playlists {
    /// Playlists 0 to `n` of a seed.
    pub fn new(seed: u64, n: u64) -> Self {
        Playlists { world: World::new(), seed, next: 0, end: n }
    }

    /// The same, from pid `first` to below `end`.
    pub fn range(&self, first: u64, end: u64) -> Self {
        Playlists { next: first, end, ..self.clone() }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The first pid that is not among them.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The playlist `pid`.
    pub fn get(&self, pid: u64) -> Playlist {
        let mut dice = Dice::new(self.seed, pid);
        let length = length(dice.unit());
        let taste = Taste::draw(&mut dice);
        let title = fitting_title(taste, &mut dice);
        let age = dice.unit();
        // Most were changed lately.
        let day = DAYS.1 - ((DAYS.1 - DAYS.0) as f64 * age * age * age) as i64;
        let followers = (1.0 / (1.0 - dice.unit())).powf(0.6) as u64;
        let mut seen = FxHashSet::with_capacity_and_hasher(length, Default::default());
        let mut tracks = Vec::with_capacity(length);
        while tracks.len() < length {
            let track = self.world.draw(taste, &mut dice);
            if seen.insert(track) {
                tracks.push(track);
            }
        }
        Playlist { pid, title, modified_at_s: day * SECONDS_A_DAY, tracks, taste, followers }
    }

    /// One more track for a playlist.
    pub(super) fn draw(&self, taste: Taste, dice: &mut Dice) -> TrackNo {
        self.world.draw(taste, dice)
    }

    /// Gives a sink the events of the playlists that are left: each track is described once, before the
    /// first playlist that names it.
    pub fn events(self, sink: &mut dyn Sink) -> ControlFlow<()> {
        let mut describer = Describer::default();
        for playlist in self {
            let tracks = playlist.tracks.iter().map(|track| track.describe()).collect();
            let (uri, at_ms) = (playlist.uri(), playlist.modified_at_s * 1000);
            let title = Some(playlist.title.into());
            // No generated playlist is too long.
            if let Ok(flow) = describer.put(&uri, title, at_ms, tracks, TRACKS_MAX, sink) {
                flow?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// A title that fits the taste.
pub(super) fn fitting_title(taste: Taste, dice: &mut Dice) -> String {
    let rank = title_rank(dice.unit()) * GENRES[usize::from(taste.main)].share;
    title(taste.main, rank as usize, scatter((dice.unit() * (1_u64 << 53) as f64) as u64))
}

impl Playlist {
    /// Its URI in events.
    pub fn uri(&self) -> String {
        format!("mpd:playlist:{}", self.pid)
    }
}

impl Iterator for Playlists {
    type Item = Playlist;

    fn next(&mut self) -> Option<Playlist> {
        let pid = self.next;
        (pid < self.end).then(|| {
            self.next += 1;
            self.get(pid)
        })
    }
}
