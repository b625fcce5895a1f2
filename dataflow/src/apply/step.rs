//! The edits of some epochs, taken playlist by playlist.

use std::collections::BTreeMap;

use differential_dataflow::trace::Builder as _;

use super::Totals;
use super::draft::{Draft, Playlist, Said, difference};
use super::titles::Titles;
use crate::catalogue::{Note, Notes};
use crate::day::{Day, Days, Newest};
use crate::digest::Digest;
use crate::edit::{Edit, Op, PlaylistOp};
use crate::engine::Refused;
use crate::ids::{PlaylistId, TrackId};
use crate::views::Shared;
use crate::views::batch;
use crate::views::book::Book;
use crate::views::trace::View;

/// What one epoch changed on this worker, apart from the arrangement.
#[derive(Default)]
pub struct Changed {
    /// What the owners of tracks are told.
    pub notes: Vec<Note>,
    /// Titles that came and went.
    pub titles: Titles,
    /// How many more playlists there are.
    pub playlists: i32,
    entries: i64,
    digest: Digest,
    /// Additions by day that came (1) or went (-1).
    pub dated: Vec<(TrackId, Day, i32)>,
    newest: Newest,
}

impl Changed {
    /// What all adds up to with it.
    pub fn added_to(&self, mut totals: Totals) -> Totals {
        totals.playlists = totals.playlists.saturating_add_signed(self.playlists.into());
        totals.entries = totals.entries.saturating_add_signed(self.entries);
        totals.digest += self.digest;
        totals.newest.merge(&self.newest);
        totals
    }
}

/// One advance of the frontier: the edits of some epochs, playlist by playlist.
pub struct Step<'a> {
    /// Workers of all processes.
    pub peers: u64,
    /// Playlists as they were before it.
    pub playlists: &'a Shared<Book<PlaylistId, Playlist>>,
    /// The days of their tracks, as they were before it.
    pub days: &'a Shared<Book<PlaylistId, Days>>,
    /// As of before the step: what is too old by it is too old whatever comes.
    pub newest: Newest,
    /// For how many days additions are remembered.
    pub keep_days: u16,
    /// Hears of edits that name a taken id.
    pub refused: &'a Refused,
    /// The batch of all changes of entries.
    pub builder: batch::Builder<PlaylistId, TrackId>,
    /// By epoch.
    pub changed: BTreeMap<u64, Changed>,
    /// Playlists as they are after an epoch: for the book, all at once, so that no reader waits for long.
    pub cards: Vec<(u64, PlaylistId, Option<Playlist>)>,
    /// The same of the days of their tracks.
    pub dated: Vec<(u64, PlaylistId, Option<Days>)>,
}

impl Step<'_> {
    /// Takes them; the arrangement is as it was before them.
    pub fn run(&mut self, view: &View<PlaylistId, TrackId>, ready: Vec<(u64, Edit)>) {
        let mut edits = Vec::with_capacity(ready.len());
        for (epoch, Edit { seq, day, op }) in ready {
            match op {
                Op::Playlist { id, uri, op } => edits.push((id, epoch, seq, day, uri, op)),
                about_track => {
                    self.changed.entry(epoch).or_default().notes.extend(Note::about(
                        seq,
                        about_track,
                        self.peers,
                    ));
                }
            }
        }
        edits.sort_by_key(|(id, epoch, seq, ..)| (*id, *epoch, *seq));
        let (mut pass, mut edits) = (view.pass(), edits.into_iter().peekable());
        while let Some(&(id, ..)) = edits.peek() {
            let (card, mut tracks) = (self.playlists.read().newest(&id).cloned(), Vec::new());
            if card.is_some() {
                pass.read(id, u64::MAX, |track| tracks.push(track));
            }
            let mut draft = Draft::new(card, tracks, self.days.read().newest(&id).map(|days| &**days));
            let mut updates = Vec::new();
            while let Some(&(_, epoch, ..)) = edits.peek().filter(|edit| edit.0 == id) {
                let before = draft.clone();
                while let Some((_, _, seq, day, uri, op)) =
                    edits.next_if(|edit| (edit.0, edit.1) == (id, epoch))
                {
                    self.edit(&mut draft, epoch, (seq, day), &uri, op);
                }
                draft.seal(self.newest.first_of(self.keep_days));
                self.close(id, epoch, &before, &draft, &mut updates);
            }
            updates.sort_unstable();
            if !updates.is_empty() {
                self.builder.push(&mut updates);
            }
        }
    }

    fn edit(&mut self, draft: &mut Draft, epoch: u64, (seq, day): (u64, Day), uri: &str, op: PlaylistOp) {
        match draft.card.as_ref().filter(|card| *card.uri != *uri) {
            Some(taken) => (self.refused)(seq, format!("playlist {uri:?} has the id of {:?}", taken.uri)),
            None => {
                let (mut notes, mut gained) = (Notes::new(seq, self.peers), false);
                draft.apply(uri, op, day, |track, said| {
                    gained |= matches!(said, Said::Gained(..));
                    notes.add(track, said);
                });
                let changed = self.changed.entry(epoch).or_default();
                changed.notes.extend(notes.finish());
                if gained {
                    changed.newest.see(day);
                }
            }
        }
    }

    /// The epoch ends for this playlist: only the net difference is a change.
    fn close(
        &mut self,
        id: PlaylistId,
        epoch: u64,
        before: &Draft,
        now: &Draft,
        updates: &mut Vec<((PlaylistId, TrackId), u64, i32)>,
    ) {
        let changed = self.changed.entry(epoch).or_default();
        difference(&before.tracks, &now.tracks, |track, diff| {
            updates.push(((id, track), epoch, diff));
            changed.digest.update(id, track, diff);
        });
        changed.entries += now.tracks.len() as i64 - before.tracks.len() as i64;
        changed.playlists += i32::from(now.card.is_some()) - i32::from(before.card.is_some());
        let [old, new] =
            [before, now].map(|draft| draft.card.as_ref().and_then(|card| card.title.as_deref()));
        if old != new {
            changed.titles.change(id, epoch, old, -1);
            changed.titles.change(id, epoch, new, 1);
        }
        if before != now {
            self.cards.push((epoch, id, now.card.clone()));
        }
        let [old, new] = [before, now].map(Draft::additions);
        difference(&old, &new, |(track, day), diff| changed.dated.push((track, day, diff)));
        if !(old.is_empty() && new.is_empty()) && before.days != now.days {
            self.dated.push((epoch, id, (!new.is_empty()).then(|| now.days.clone().into())));
        }
    }
}
