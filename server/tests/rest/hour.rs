//! An hour of edits on a running server, as fast as it takes them, with questions among them: its memory stays as it
//! is, and the rows that it has kept are those that another server counts, which starts from a snapshot and not from
//! its rows. `make soak` has an hour's worth at 2,000 a second; else it is half a minute's.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::ControlFlow;

use segue_dataflow::event::{Change, Event};
use segue_replay::generate::{Edits, Playlists};
use segue_replay::source::{Fault, Sink};
use serde_json::{Value, json};

use crate::harness::{Reply, Server, until};
use crate::memory::Memory;

/// Playlists that hold a track which has a row, at least.
const SUPPORT: u64 = 8;
const VARIABLES: [(&str, &str); 2] =
    [("SEGUE__NEIGHBOURS__MIN_SUPPORT", "8"), ("SEGUE__NEIGHBOURS__GRID_MS", "20")];
/// Rows of a graph with other rules do not go on with those in a snapshot: all are counted.
const COUNTED: [(&str, &str); 2] = [("SEGUE__NEIGHBOURS__MIN_SUPPORT", "7"), VARIABLES[1]];
const SEED: u64 = 7;
/// Events of one request.
const TOGETHER: usize = 2_000;
/// Tracks that were added to a playlist and are still there, at the most.
const ADDED: usize = 10;

/// Edits for ever that leave the playlists about as long as they are: whatever is added goes again.
struct Hour {
    edits: Edits,
    added: HashMap<String, VecDeque<String>>,
    due: Option<Event<'static>>,
}

impl Iterator for Hour {
    type Item = Event<'static>;

    fn next(&mut self) -> Option<Event<'static>> {
        if let Some(removal) = self.due.take() {
            return Some(removal);
        }
        let event = self.edits.next()?;
        let added = self.added.entry(event.key().to_owned()).or_default();
        match &event.change {
            Change::TrackAdded { playlist, track } => {
                added.push_back(track.uri.to_string());
                if added.len() > ADDED {
                    let track = added.pop_front().unwrap_or_default().into();
                    let change = Change::TrackRemoved { playlist: playlist.clone(), track };
                    self.due = Some(Event { at_ms: event.at_ms, change });
                }
            }
            Change::PlaylistPut { .. } | Change::PlaylistDeleted { .. } => added.clear(),
            _ => {}
        }
        Some(event)
    }
}

/// Posts events together, and notes which tracks they name.
struct Poster<'a> {
    server: &'a Server,
    waiting: Vec<String>,
    posted: Option<Reply>,
    /// Of the answer after the last.
    as_of: u64,
    tracks: BTreeSet<String>,
}

impl Poster<'_> {
    fn add(&mut self, event: &Event<'_>) {
        match &event.change {
            Change::TrackDescribed { track } | Change::TrackAdded { track, .. } => {
                self.tracks.insert(track.uri.to_string());
            }
            _ => {}
        }
        self.waiting.push(event.to_json());
        if self.waiting.len() == TOGETHER {
            self.post();
        }
    }

    /// While the graph is at work on those before.
    fn post(&mut self) {
        let reply = self.server.post("/v1/events", "application/x-ndjson", self.waiting.join("\n"));
        assert_eq!((reply.status, &reply.body["rejected"]), (202, &json!([])), "{}", reply.body);
        self.waiting.clear();
        self.posted = Some(reply);
        let seeds: Vec<_> = self.tracks.iter().step_by(1 + self.tracks.len() / 5).collect();
        let body = json!({"seeds": seeds}).to_string();
        let asked = self.server.post("/v1/recommendations", "application/json", body);
        assert_eq!(asked.status, 200, "{}", asked.body);
        let as_of = asked.body["as_of"]["epoch"].as_u64().expect("an epoch");
        has_graph(self.server, std::mem::replace(&mut self.as_of, as_of));
    }

    /// Waits until all of them are visible, and the graph has them.
    fn settle(&mut self) {
        if !self.waiting.is_empty() {
            self.post();
        }
        self.posted.take().iter().for_each(|reply| self.server.visible(reply));
        settled(self.server);
    }
}

impl Sink for Poster<'_> {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        self.add(event);
        ControlFlow::Continue(())
    }

    fn fault(&mut self, fault: Fault) {
        panic!("{fault}");
    }
}

/// Waits until the graph has all that answers had as-of an epoch.
fn has_graph(server: &Server, as_of: u64) {
    until("the graph", || (server.counted("segue_graph_epoch") >= as_of).then_some(()));
}

/// Waits until the graph has all that answers have.
fn settled(server: &Server) {
    has_graph(server, server.state()["as_of"]["epoch"].as_u64().expect("an epoch"));
}

/// Of the tracks that have a row: in how many playlists they are, how many were sampled, and the neighbours.
fn rows<'a>(server: &Server, tracks: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, [Value; 3]> {
    let read = |track: &'a String| {
        let body = server.get(&format!("/v1/tracks/{track}/neighbours?limit=100")).body;
        let row = ["playlists", "sampled", "neighbours"].map(|of| body[of].clone());
        (row[0].as_u64()? >= SUPPORT).then_some((track.as_str(), row))
    };
    tracks.filter_map(read).collect()
}

#[test]
fn after_an_hour_of_edits_rows_are_right_and_memory_is_as_it_was() {
    let (playlists, edits, every) = match std::env::var_os("SEGUE_SOAK") {
        Some(_) => (20_000, 3_600 * 2_000, 1),
        None => (1_000, 60_000, 5),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(folder.path(), &VARIABLES);
    let mut poster =
        Poster { server: &server, waiting: Vec::new(), posted: None, as_of: 0, tracks: BTreeSet::new() };
    let _ = Playlists::new(SEED, playlists).events(&mut poster);
    poster.settle();
    let hour = Hour { edits: Edits::new(SEED, playlists), added: HashMap::new(), due: None };
    let mut memory = Memory::default();
    for (event, number) in hour.zip(1..=edits) {
        poster.add(&event);
        if number % (edits / 20) == 0 {
            poster.settle();
            memory.look(&server);
            println!("{number} edits: {memory:?}");
        }
    }
    let tracks = poster.tracks;
    let [recounts, notes] =
        ["recounts", "notes"].map(|of| server.counted(&format!("segue_graph_{of}_total")));
    println!("{recounts} rows counted anew, {notes} notes");
    let (state, kept) = (server.state(), rows(&server, tracks.iter().step_by(every)));
    memory.stayed();
    assert_eq!(server.post_admin("/snapshots").status, 201);
    drop(server);

    let server = Server::start_with(folder.path(), &COUNTED);
    settled(&server);
    let anew = server.counted("segue_graph_recounts_total");
    assert!(anew >= server.counted("segue_graph_rows") && anew > 100, "{anew} rows counted anew");
    for of in ["digest", "playlists", "entries", "tracks"] {
        assert_eq!(server.state()[of], state[of], "{of}");
    }
    let counted = rows(&server, tracks.iter().step_by(every));
    assert!(kept.len() > 50, "{}", kept.len());
    println!("{} rows are the same", kept.len());
    assert_eq!(kept, counted);
}
