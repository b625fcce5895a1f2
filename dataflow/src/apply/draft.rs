//! What an edit does to one playlist: pure, one playlist at a time, one edit after the other.

use serde::{Deserialize, Serialize};

use crate::day::Day;
use crate::edit::{Mentions, Names, PlaylistOp};
use crate::ids::TrackId;

/// What is known of a playlist but its tracks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playlist {
    /// Its URI.
    pub uri: Box<str>,
    /// Its title.
    pub title: Option<Box<str>>,
    /// Its number of tracks.
    pub entries: u32,
}

/// A playlist while edits are applied to it. Without a card there is none, and it has no tracks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// URI and title. Its number of entries is set by [`Draft::seal`].
    pub card: Option<Playlist>,
    /// Tracks, ascending.
    pub tracks: Vec<TrackId>,
    /// When each was added, where that is kept.
    pub days: Vec<Day>,
}

/// What an edit means to a track. Names go along as they came.
pub enum Said<'a> {
    /// The playlist holds it now and did not before.
    Gained(&'a str, Option<Box<Names>>),
    /// The playlist held it already, and these are newer names.
    Named(&'a str, Box<Names>),
    /// The playlist does not hold it any more.
    Lost,
}

impl Draft {
    /// A playlist that has been kept, with the days of its tracks if any is.
    pub fn new(card: Option<Playlist>, tracks: Vec<TrackId>, days: Option<&[Day]>) -> Self {
        let mut days = days.map(<[Day]>::to_vec).unwrap_or_default();
        days.resize(tracks.len(), Day::default());
        Draft { card, tracks, days }
    }

    /// Applies one edit of that day and tells each track touched what it means to it.
    pub fn apply(&mut self, uri: &str, op: PlaylistOp, day: Day, mut say: impl FnMut(TrackId, Said<'_>)) {
        match op {
            PlaylistOp::Put { title, tracks } => {
                self.card = Some(Playlist { uri: uri.into(), title, entries: 0 });
                self.replace(&tracks, day, say);
            }
            PlaylistOp::Titled(title) => self.card(uri).title = Some(title),
            PlaylistOp::Added(tracks) => {
                self.card(uri);
                for mention in tracks.iter() {
                    match (self.tracks.binary_search(&mention.id), &mention.names) {
                        (Err(place), names) => {
                            self.tracks.insert(place, mention.id);
                            self.days.insert(place, day);
                            say(mention.id, Said::Gained(tracks.uri(mention), names.clone()));
                        }
                        (Ok(_), Some(names)) => {
                            say(mention.id, Said::Named(tracks.uri(mention), names.clone()));
                        }
                        (Ok(_), None) => {}
                    }
                }
            }
            PlaylistOp::Removed(track) => {
                if let Ok(place) = self.tracks.binary_search(&track) {
                    self.tracks.remove(place);
                    self.days.remove(place);
                    say(track, Said::Lost);
                }
            }
            PlaylistOp::Deleted => {
                self.card = None;
                self.days.clear();
                self.tracks.drain(..).for_each(|track| say(track, Said::Lost));
            }
        }
    }

    /// The tracks become exactly these.
    fn replace(&mut self, tracks: &Mentions, day: Day, mut say: impl FnMut(TrackId, Said<'_>)) {
        let old = std::mem::replace(&mut self.tracks, tracks.iter().map(|m| m.id).collect());
        let mut old = old.into_iter().zip(std::mem::take(&mut self.days)).peekable();
        for mention in tracks.iter() {
            while let Some((lost, _)) = old.next_if(|(track, _)| *track < mention.id) {
                say(lost, Said::Lost);
            }
            let kept = old.next_if(|(track, _)| *track == mention.id);
            match (kept, mention.names.clone()) {
                (None, names) => say(mention.id, Said::Gained(tracks.uri(mention), names)),
                (Some(_), Some(names)) => say(mention.id, Said::Named(tracks.uri(mention), names)),
                (Some(_), None) => {}
            }
            self.days.push(kept.map_or(day, |(_, day)| day));
        }
        old.for_each(|(lost, _)| say(lost, Said::Lost));
    }

    /// The tracks whose day is kept, with it.
    pub fn additions(&self) -> Vec<(TrackId, Day)> {
        let all = self.tracks.iter().copied().zip(self.days.iter().copied());
        all.filter(|(_, day)| *day != Day::default()).collect()
    }

    /// The card to be changed; a playlist comes to be by being named.
    fn card(&mut self, uri: &str) -> &mut Playlist {
        self.card.get_or_insert_with(|| Playlist { uri: uri.into(), title: None, entries: 0 })
    }

    /// Brings the number of entries up to date, and forgets days before `first`.
    pub fn seal(&mut self, first: Day) {
        forget_before(&mut self.days, first);
        let entries = self.tracks.len() as u32;
        if let Some(card) = &mut self.card {
            card.entries = entries;
        }
    }
}

/// Forgets which days before `first` these are.
pub fn forget_before(days: &mut [Day], first: Day) {
    days.iter_mut().filter(|day| **day < first).for_each(|day| *day = Day::default());
}

/// Hands every item that is in one of two ascending lists only to `each`: -1 if it left, 1 if it came.
pub fn difference<T: Ord + Copy>(before: &[T], now: &[T], mut each: impl FnMut(T, i32)) {
    let (mut old, mut new) = (before.iter().peekable(), now.iter().peekable());
    loop {
        let diff = match (old.peek(), new.peek()) {
            (Some(o), Some(n)) if o == n => 0,
            (Some(o), Some(n)) => {
                if o < n {
                    -1
                } else {
                    1
                }
            }
            (Some(_), None) => -1,
            (None, Some(_)) => 1,
            (None, None) => return,
        };
        let left = if diff <= 0 { old.next() } else { None };
        let came = if diff >= 0 { new.next() } else { None };
        if let Some(track) = left.or(came).filter(|_| diff != 0) {
            each(*track, diff);
        }
    }
}
