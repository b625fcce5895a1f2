//! The slow, obvious twin of the engine: maps and sets, one event after the other, every answer from
//! scratch. It shares the engine's types of events and answers, and two measures of likeness that have tables of
//! their own; nothing else.

mod recommend;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use segue_dataflow::apply::Playlist;
use segue_dataflow::catalogue::{TrackCard, TrackRecord};
use segue_dataflow::day::Day;
use segue_dataflow::digest::Digest;
use segue_dataflow::edit::{Names, Party};
use segue_dataflow::event::{Change, Event, Named, Track};
use segue_dataflow::ids::{PlaylistId, TrackId};
use segue_dataflow::query::{
    Body, Both, Growth, Neighbour, NeighboursAnswer, PairAnswer, PlaylistAnswer, Question, State,
    TrackAnswer, TrendingAnswer,
};
use segue_dataflow::scoring::{Likeness, cosine};
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::snapshot::{Playlists, Restored, Tracks};

/// How many playlists are sampled, and the neighbours with how many of them they share.
pub type Row = (u32, Vec<(TrackId, u32)>);
/// Track → its row in the graph.
pub type Rows = BTreeMap<TrackId, Row>;

/// By how much of itself a score may differ from the twin's.
const SCORES_DIFFER: f64 = 1e-6;

/// All that was said, as it stands.
#[derive(Clone, Default)]
pub struct Twin {
    playlists: BTreeMap<PlaylistId, Held>,
    catalogue: BTreeMap<TrackId, Known>,
    /// When each entry was added, as days since 1970.
    added: BTreeMap<(PlaylistId, TrackId), i64>,
    /// Those of all events that added something.
    days: Vec<i64>,
    /// How often something has happened that tests must not miss.
    seen: RefCell<BTreeMap<&'static str, usize>>,
}

#[derive(Clone, Default)]
struct Held {
    uri: String,
    title: Option<String>,
    tracks: BTreeSet<TrackId>,
}

#[derive(Clone, Default)]
struct Known {
    uri: String,
    inline: Option<Names>,
    described: Option<Names>,
    described_last: bool,
}

fn names(track: &Track<'_>) -> Option<Names> {
    let party = |named: &Named<'_>| Party {
        uri: named.uri.as_ref().into(),
        name: named.name.as_deref().map(Into::into),
    };
    track.has_names().then(|| Names {
        name: track.name.as_deref().map(Into::into),
        artist: track.artist.as_ref().map(party),
        album: track.album.as_ref().map(party),
        duration_ms: track.duration_ms,
    })
}

impl Twin {
    /// How often something has happened that tests must not miss.
    pub fn seen(&self) -> BTreeMap<&'static str, usize> {
        self.seen.borrow().clone()
    }

    /// Notes that it has, if it has.
    fn see(&self, what: &'static str, happened: bool) {
        *self.seen.borrow_mut().entry(what).or_default() += usize::from(happened);
    }

    /// One event, in log order.
    pub fn apply(&mut self, event: &Event<'_>) {
        let id = PlaylistId::of(event.key());
        let tracks =
            |twin: &Twin| twin.playlists.get(&id).map(|held| held.tracks.clone()).unwrap_or_default();
        let before = tracks(self);
        self.change(event);
        let now = tracks(self);
        let day = event.at_ms.div_euclid(86_400_000);
        for track in before.difference(&now) {
            self.added.remove(&(id, *track));
        }
        self.added.extend(now.difference(&before).map(|track| ((id, *track), day)));
        if !now.is_subset(&before) {
            self.days.push(day);
        }
    }

    fn change(&mut self, event: &Event<'_>) {
        match &event.change {
            Change::PlaylistPut { playlist, title, tracks } => {
                let id = PlaylistId::of(playlist);
                let held = self.held(playlist);
                held.title = title.as_deref().map(str::to_owned);
                let gone: Vec<TrackId> = held.tracks.iter().copied().collect();
                let new: BTreeSet<TrackId> = tracks.iter().map(|t| TrackId::of(&t.uri)).collect();
                gone.iter().filter(|t| !new.contains(t)).for_each(|t| self.remove(id, *t));
                tracks.iter().for_each(|t| self.add(id, t));
            }
            Change::PlaylistTitled { playlist, title } => {
                self.held(playlist).title = Some(title.as_ref().to_owned());
            }
            Change::TrackAdded { playlist, track } => {
                self.held(playlist);
                self.add(PlaylistId::of(playlist), track);
            }
            Change::TrackRemoved { playlist, track } => {
                self.remove(PlaylistId::of(playlist), TrackId::of(track));
            }
            Change::PlaylistDeleted { playlist } => {
                let id = PlaylistId::of(playlist);
                let tracks = self.playlists.get(&id).map(|held| held.tracks.clone()).unwrap_or_default();
                tracks.into_iter().for_each(|track| self.remove(id, track));
                self.playlists.remove(&id);
            }
            Change::TrackDescribed { track } => {
                let known = self.known(track);
                known.described.get_or_insert_default().overlay(names(track).unwrap_or_default());
                known.described_last = true;
            }
            Change::TrackForgotten { track } => {
                let id = TrackId::of(track);
                if let Some(known) = self.catalogue.get_mut(&id) {
                    known.described = None;
                }
                self.tidy(id);
            }
        }
    }

    fn held(&mut self, uri: &str) -> &mut Held {
        let held = self.playlists.entry(PlaylistId::of(uri)).or_default();
        held.uri = uri.to_owned();
        held
    }

    fn known(&mut self, track: &Track<'_>) -> &mut Known {
        let known = self.catalogue.entry(TrackId::of(&track.uri)).or_default();
        known.uri = track.uri.as_ref().to_owned();
        known
    }

    fn add(&mut self, playlist: PlaylistId, track: &Track<'_>) {
        if let Some(held) = self.playlists.get_mut(&playlist) {
            held.tracks.insert(TrackId::of(&track.uri));
        }
        let known = self.known(track);
        if let Some(names) = names(track) {
            known.inline.get_or_insert_default().overlay(names);
            known.described_last = false;
        }
    }

    fn remove(&mut self, playlist: PlaylistId, track: TrackId) {
        if let Some(held) = self.playlists.get_mut(&playlist) {
            held.tracks.remove(&track);
        }
        self.tidy(track);
    }

    /// Inline names go with the last entry; a track that nobody holds or describes goes as a whole.
    fn tidy(&mut self, track: TrackId) {
        if !self.holders(track).is_empty() {
            return;
        }
        if let Some(known) = self.catalogue.get_mut(&track) {
            known.inline = None;
            if known.described.is_none() {
                self.catalogue.remove(&track);
            }
        }
    }

    fn holders(&self, track: TrackId) -> Vec<PlaylistId> {
        self.playlists.iter().filter(|(_, held)| held.tracks.contains(&track)).map(|(id, _)| *id).collect()
    }

    fn sample(&self, track: TrackId, m: u32) -> Vec<PlaylistId> {
        sampled(self.holders(track), m)
    }

    /// All entries.
    pub fn entries(&self) -> BTreeSet<(PlaylistId, TrackId)> {
        let tracks =
            |(id, held): (&PlaylistId, &Held)| held.tracks.iter().map(|t| (*id, *t)).collect::<Vec<_>>();
        self.playlists.iter().flat_map(tracks).collect()
    }

    /// A state to go on from, without days of additions.
    pub fn restored(&self, workers: usize, epoch: u64) -> Restored {
        let (mut playlists, mut tracks) = (Playlists::new(workers), Tracks::new(workers));
        for known in self.catalogue.values() {
            let Known { uri, inline, described, described_last } = known.clone();
            tracks.add(&TrackRecord { uri: uri.into(), inline, described, described_last });
        }
        for held in self.playlists.values() {
            let tracks: Vec<TrackId> = held.tracks.iter().copied().collect();
            playlists.add(&held.uri, held.title.as_deref(), &tracks, &[]).expect("in order");
        }
        Restored::new(epoch, vec![0], playlists, tracks).expect("all tracks are known")
    }

    /// The rows of the graph.
    pub fn rows(&self, rules: &Neighbours) -> Rows {
        let mut holders: BTreeMap<TrackId, Vec<PlaylistId>> = BTreeMap::new();
        self.entries().into_iter().for_each(|(p, track)| holders.entry(track).or_default().push(p));
        holders.retain(|_, holders| holders.len() >= rules.min_support as usize);
        let row = |(track, holders): (TrackId, Vec<PlaylistId>)| {
            let sampled = sampled(holders, rules.sample);
            let mut shared = BTreeMap::new();
            for other in
                sampled.iter().flat_map(|p| &self.playlists[p].tracks).filter(|other| **other != track)
            {
                *shared.entry(*other).or_insert(0_u64) += 1;
            }
            let best = ranked(shared.into_iter().filter(|(_, shared)| *shared > 1).collect());
            let best = best.into_iter().take(rules.keep as usize).map(|(other, n)| (other, n as u32));
            (track, (sampled.len() as u32, best.collect()))
        };
        holders.into_iter().map(row).collect()
    }

    fn card(&self, track: TrackId) -> Option<TrackCard> {
        let known = self.catalogue.get(&track)?;
        let mut layers = [known.described.clone(), known.inline.clone()];
        if known.described_last {
            layers.reverse();
        }
        let mut names = Names::default();
        layers.into_iter().flatten().for_each(|layer| names.overlay(layer));
        Some(TrackCard { uri: known.uri.as_str().into(), names })
    }

    fn chart(&self) -> Vec<(TrackId, u64)> {
        let tracks: BTreeSet<TrackId> =
            self.playlists.values().flat_map(|held| held.tracks.clone()).collect();
        ranked(tracks.into_iter().map(|track| (track, self.holders(track).len() as u64)).collect())
    }

    /// The answer to a question, as of now.
    pub fn answer(&self, question: &Question, settings: &Settings) -> Body {
        match question {
            Question::Recommend(wanted) => Body::Recommendations(self.recommend(wanted, settings)),
            Question::Playlist(playlist) => {
                Body::Playlist(self.playlists.get(playlist).map(|held| PlaylistAnswer {
                    playlist: Playlist {
                        uri: held.uri.as_str().into(),
                        title: held.title.as_deref().map(Into::into),
                        entries: held.tracks.len() as u32,
                    },
                    tracks: held.tracks.iter().filter_map(|track| self.card(*track)).collect(),
                }))
            }
            Question::Track(track) => Body::Track(self.track(*track)),
            Question::Neighbours { track, limit } => {
                Body::Neighbours(self.neighbours(*track, *limit, settings))
            }
            Question::Pair { track, with } => Body::Pair(self.pair(*track, *with, settings)),
            Question::Popular { limit } => {
                let top = self.chart().into_iter().take(*limit);
                Body::Popular(top.filter_map(|(t, n)| Some((self.card(t)?, n as u32))).collect())
            }
            Question::Trending { days, limit } => Body::Trending(self.trending(i64::from(*days), *limit)),
            Question::State => Body::State(self.state()),
        }
    }

    /// The sums.
    pub fn state(&self) -> State {
        let mut digest = Digest::default();
        for (playlist, held) in &self.playlists {
            held.tracks.iter().for_each(|track| digest.update(*playlist, *track, 1));
        }
        State {
            playlists: self.playlists.len() as u64,
            entries: self.playlists.values().map(|held| held.tracks.len() as u64).sum(),
            tracks: self.chart().len() as u64,
            digest,
        }
    }

    fn track(&self, track: TrackId) -> Option<TrackAnswer> {
        Some(TrackAnswer { track: self.card(track)?, playlists: self.holders(track).len() as u32 })
    }

    /// The newest day is the latest that three events have reached; days before 1971 are none.
    fn trending(&self, days: i64, limit: usize) -> TrendingAnswer {
        let mut seen: Vec<i64> = self.days.iter().copied().filter(|day| *day > 0).collect();
        seen.sort_unstable_by(|a, b| b.cmp(a));
        let Some(newest) = seen.get(2).copied() else { return TrendingAnswer::default() };
        let mut counts: BTreeMap<TrackId, Growth> = BTreeMap::new();
        for ((_, track), day) in self.added.iter().filter(|(_, day)| **day > 0) {
            let growth = counts.entry(*track).or_default();
            growth.added += u32::from((newest - days + 1..=newest).contains(day));
            growth.before += u32::from((newest - 2 * days + 1..=newest - days).contains(day));
        }
        let growing = counts.iter().filter(|(_, growth)| growth.score() > 0);
        let ranked = ranked(growing.map(|(track, growth)| (*track, growth.score())).collect());
        let named = |(track, _)| Some((self.track(track)?, counts[&track]));
        let chart = ranked.into_iter().take(limit).filter_map(named).collect();
        TrendingAnswer { through: Day(newest as u16), chart }
    }

    fn neighbours(&self, track: TrackId, limit: usize, settings: &Settings) -> Option<NeighboursAnswer> {
        let sampled = self.sample(track, settings.neighbours.sample);
        let mut shared = BTreeMap::new();
        for other in sampled.iter().flat_map(|p| &self.playlists[p].tracks).filter(|other| **other != track) {
            *shared.entry(*other).or_insert(0_u64) += 1;
        }
        let best = ranked(shared.into_iter().collect());
        let keep = Some(settings.neighbours.keep as usize).filter(|keep| *keep > 0);
        let best = best.into_iter().take(keep.map_or(limit, |keep| limit.min(keep)));
        let row = (sampled.len() as u32, best.map(|(other, shared)| (other, shared as u32)).collect());
        self.listed(track, limit, &row, None)
    }

    /// The answer from a row that was exact as-of an epoch, now.
    pub fn listed(
        &self,
        track: TrackId,
        limit: usize,
        (sampled, best): &Row,
        graph: Option<u64>,
    ) -> Option<NeighboursAnswer> {
        let answer = self.track(track)?;
        let neighbour = |(other, shared): &(TrackId, u32)| {
            let similarity = cosine(*shared, *sampled, answer.playlists, self.holders(*other).len() as u32);
            Some(Neighbour { track: self.card(*other)?, shared: *shared, similarity })
        };
        let neighbours = best.iter().take(limit).filter_map(neighbour).collect();
        Some(NeighboursAnswer { neighbours, sampled: *sampled, graph, track: answer })
    }

    fn pair(&self, track: TrackId, with: TrackId, settings: &Settings) -> Result<Box<PairAnswer>, TrackId> {
        let sample = self.sample(track, settings.neighbours.sample);
        let others = self.holders(with);
        let shared =
            |playlists: &[PlaylistId]| playlists.iter().filter(|p| others.contains(p)).count() as u32;
        let both = Both {
            shared: shared(&self.holders(track)),
            sample_shared: shared(&sample),
            sample: sample.len() as u32,
        };
        let (track, with) = (self.track(track).ok_or(track)?, self.track(with).ok_or(with)?);
        let playlists = self.playlists.len() as u32;
        let likeness = Likeness::new(both.shared, track.playlists, with.playlists, playlists);
        Ok(Box::new(PairAnswer { track, with, both, likeness }))
    }
}

/// How often so many playlists are halved until they are fewer than 2 m.
fn halved(holding: usize, m: u32) -> i32 {
    let left = |times: &i32| holding as f64 * 0.5_f64.powi(*times);
    (0..).find(|times| left(times) < 2.0 * f64::from(m)).unwrap_or(0)
}

/// A sample, halved so often, has the ids below 2^64 halved so often.
fn is_sampled(playlist: PlaylistId, halved: i32) -> bool {
    u128::from(playlist.0) << halved < 1 << 64
}

/// The sample of a track's playlists.
fn sampled(mut holders: Vec<PlaylistId>, m: u32) -> Vec<PlaylistId> {
    let times = halved(holders.len(), m);
    holders.retain(|playlist| is_sampled(*playlist, times));
    holders
}

/// Asserts that an answer is the twin's. The scores of a recommendation may differ in what is left of rounding;
/// nothing else may, and so no place in a list.
pub fn assert_same(there: &Body, twin: &Body, at: &str) {
    let near = |a: f64, b: f64| (a - b).abs() <= SCORES_DIFFER * b.abs();
    let mut twin = twin.clone();
    if let (Body::Recommendations(Some(there)), Body::Recommendations(Some(twin))) = (there, &mut twin) {
        for (there, twin) in there.tracks.iter().zip(&mut twin.tracks) {
            if near(there.score, twin.score) {
                twin.score = there.score;
            }
            for (there, twin) in there.because.iter().flatten().zip(twin.because.iter_mut().flatten()) {
                if near(there.share, twin.share) {
                    twin.share = there.share;
                }
            }
        }
    }
    assert_eq!(*there, twin, "{at}");
}

/// Highest score first, ties by id.
fn ranked<I: Ord + Copy>(mut all: Vec<(I, u64)>) -> Vec<(I, u64)> {
    all.sort_by_key(|(id, score)| (std::cmp::Reverse(*score), *id));
    all
}
