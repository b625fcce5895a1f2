//! Later edits of generated playlists, in the order of time, without end.
//!
//! Invariant: every edit suits the state that the playlists and the edits before it lead to: what is
//! removed was there, what is added was not, and a deleted playlist comes back by a put only. Memory grows
//! with the number of playlists that were edited.

use rustc_hash::FxHashMap;
use segue_dataflow::event::{Change, Event, Track};

use super::playlist::fitting_title;
use super::world::{Taste, TrackNo};
use super::{Playlist, Playlists};
use crate::dice::Dice;

/// The first edit: 2018-01-01.
const START_MS: i64 = 1_514_764_800_000;
/// From one edit to the next it is 0 to this.
const GAP_MS: f64 = 2_000.0;
/// So many tracks are hot at a time: little known ones that many add, until others take their place.
const HOT: usize = 4;
/// For so many edits.
const HOT_EDITS: u64 = 5_000;
/// The share of additions that go to a hot track.
const HOT_SHARE: f64 = 0.2;
/// How unevenly edits fall on playlists: 1 is evenly.
const ACTIVITY: f64 = 1.5;
/// The dice of the edits are no playlist's.
const STREAM: u64 = u64::MAX;

/// A playlist that was edited.
struct State {
    taste: Taste,
    tracks: Vec<TrackNo>,
    removed: Vec<TrackNo>,
    deleted: bool,
}

/// Edits of the playlists of a seed.
pub struct Edits {
    playlists: Playlists,
    size: u64,
    dice: Dice,
    edited: FxHashMap<u64, State>,
    hot: Vec<TrackNo>,
    made: u64,
    at_ms: i64,
}

impl Edits {
    /// Edits of playlists 0 to `n` of a seed.
    pub fn new(seed: u64, n: u64) -> Self {
        Self::of(Playlists::new(seed, n))
    }

    pub(super) fn of(playlists: Playlists) -> Self {
        let (size, dice) = (playlists.end(), Dice::new(playlists.seed(), STREAM));
        Edits { playlists, size, dice, edited: FxHashMap::default(), hot: vec![], made: 0, at_ms: START_MS }
    }

    fn heat(&mut self) {
        let dice = &mut self.dice;
        self.hot.clear();
        while self.hot.len() < HOT {
            let taste = Taste::draw(dice);
            let track = self.playlists.draw(taste, dice);
            if !track.is_hit() {
                self.hot.push(track);
            }
        }
    }

    /// A change of the playlist `pid`, noted in its state.
    fn change(&mut self, pid: u64) -> Change<'static> {
        let playlists = &self.playlists;
        let dice = &mut self.dice;
        let state = self.edited.entry(pid).or_insert_with(|| {
            let Playlist { taste, tracks, .. } = playlists.get(pid);
            State { taste, tracks, removed: vec![], deleted: false }
        });
        let playlist = format!("mpd:playlist:{pid}").into();
        let what = dice.unit();
        if state.deleted || what < 0.01 {
            // Put: a new list, part of it from the old one.
            state.tracks.retain(|_| dice.chance(0.5));
            for _ in 0..10 {
                let track = playlists.draw(state.taste, dice);
                if !state.tracks.contains(&track) {
                    state.tracks.push(track);
                }
            }
            state.removed.retain(|removed| !state.tracks.contains(removed));
            state.deleted = false;
            let title = Some(fitting_title(state.taste, dice).into());
            let tracks = state.tracks.iter().map(|t| t.describe()).collect();
            return Change::PlaylistPut { playlist, title, tracks };
        }
        match what {
            w if w < 0.012 => {
                state.removed.clear();
                state.tracks.clear();
                state.deleted = true;
                Change::PlaylistDeleted { playlist }
            }
            w if w < 0.03 => {
                Change::PlaylistTitled { playlist, title: fitting_title(state.taste, dice).into() }
            }
            w if w < 0.38 && !state.tracks.is_empty() => {
                let track = state.tracks.swap_remove(dice.below(state.tracks.len()));
                state.removed.push(track);
                let mut uri = String::new();
                track.uri(&mut uri);
                Change::TrackRemoved { playlist, track: uri.into() }
            }
            w => {
                let track = if w < 0.43 && !state.removed.is_empty() {
                    state.removed.swap_remove(dice.below(state.removed.len()))
                } else {
                    let hot = self.hot[dice.below(HOT)];
                    let mut track =
                        if dice.chance(HOT_SHARE) { hot } else { playlists.draw(state.taste, dice) };
                    while state.tracks.contains(&track) {
                        track = playlists.draw(state.taste, dice);
                    }
                    state.removed.retain(|&removed| removed != track);
                    track
                };
                state.tracks.push(track);
                let track: Track<'static> = track.describe();
                Change::TrackAdded { playlist, track }
            }
        }
    }
}

impl Iterator for Edits {
    type Item = Event<'static>;

    fn next(&mut self) -> Option<Event<'static>> {
        if self.size == 0 {
            return None;
        }
        if self.made.is_multiple_of(HOT_EDITS) {
            self.heat();
        }
        self.made += 1;
        self.at_ms += (self.dice.unit() * GAP_MS) as i64;
        let pid = (self.dice.unit().powf(ACTIVITY) * self.size as f64) as u64;
        Some(Event { at_ms: self.at_ms, change: self.change(pid) })
    }
}
