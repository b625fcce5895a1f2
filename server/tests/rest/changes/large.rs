//! A graph that is many times larger than what is kept of its changes: it is copied all the same, while it changes.

use segue_dataflow::ids::TrackId;
use serde_json::{Value, json};

use super::follower::{Copy, Follower};
use super::{AT, TIGHT, graph, now};
use crate::harness::{Server, until};

const TRACKS: u32 = 600;
/// Rows are read so many at a time, and then something happens.
const READ: usize = 30;
/// After so many rows, the reader leaves and goes on where it was.
const STAY: [usize; 2] = [150, 300];
/// Bytes of events that are kept.
const KEPT: usize = 1_500_000;

/// Long enough for rows to be large.
fn uri(track: u32) -> String {
    format!("s:track:{track:0100}")
}

/// Tracks that are not there at first, and are copied among the last.
fn new() -> impl Iterator<Item = u32> {
    (TRACKS..).filter(|track| TrackId::of(&uri(*track)).0 >> 60 == 0xf)
}

/// A track comes or goes: its row, and its share in all others.
fn edit(n: u32) -> Value {
    let (kind, playlists, track) = match n % 4 {
        0 => ("track_removed", "a", n * 7 % TRACKS),
        1 => ("track_removed", "b", (n - 1) * 7 % TRACKS),
        2 => ("track_added", "a", n * 11 % TRACKS),
        _ => ("track_added", "abc", new().nth(n as usize / 4).unwrap()),
    };
    let one = |playlist: char| json!({"v": 1, "type": kind, "playlist": playlist, "track": {"uri": uri(track)}, "at": AT});
    json!(playlists.chars().map(one).collect::<Vec<Value>>())
}

#[test]
fn a_graph_is_copied_that_is_larger_than_what_is_kept_of_its_changes() {
    let folder = tempfile::tempdir().unwrap();
    let kept = KEPT.to_string();
    let variables = [
        TIGHT[0],
        ("SEGUE__NEIGHBOURS__KEEP", "600"),
        TIGHT[2],
        TIGHT[3],
        TIGHT[4],
        ("SEGUE__CHANGES__BUFFER_BYTES", &kept),
    ];
    let server = Server::start_with(folder.path(), &variables);
    for playlist in ["a", "b", "c", "d"] {
        let tracks: Vec<Value> = (0..TRACKS).map(|track| json!({"uri": uri(track)})).collect();
        server.events(
            &json!([{"v": 1, "type": "playlist_put", "playlist": playlist, "tracks": tracks, "at": AT}]),
        );
    }
    let begun = now(&server);
    until("the graph", || (server.counted("segue_graph_epoch") >= begun).then_some(()));

    let open =
        |copy: &Copy| Follower::open(&server, "?from=start", copy.last.as_deref()).expect("it is kept");
    let mut copy = Copy::default();
    let (mut follower, mut n, mut read, mut stay) = (open(&copy), 0, 0, STAY.into_iter().peekable());
    // The first mark says that all that was there has been told.
    while copy.marks.is_none() {
        let event = follower.next().expect("an event");
        assert_ne!(event.name, "dropped", "after {read} events and {n} edits: {}", event.data);
        copy.take(&event);
        read += 1;
        if copy.told[0] / READ > n as usize {
            server.events(&edit(n));
            let through = now(&server);
            until("the graph", || (server.counted("segue_graph_epoch") >= through).then_some(()));
            n += 1;
        }
        if stay.next_if(|stay| copy.told[0] >= *stay).is_some() {
            follower = open(&copy);
        }
    }
    assert!(n > 15, "{n} edits");
    // It never began anew.
    assert!(copy.told[0] < 2 * TRACKS as usize, "{:?}", copy.told);
    let through = now(&server);
    copy.follow(&mut follower, through);
    let expected = graph(&server, (0..TRACKS).chain(new().take(n as usize)).map(uri), through);
    assert!(expected.len() > 400, "{}", expected.len());
    let bytes: usize = expected.values().map(|(_, row)| row.keys().map(String::len).sum::<usize>()).sum();
    assert!(bytes > 10 * KEPT, "{bytes}");
    assert!(copy.graph == expected, "{} rows, {} expected", copy.graph.len(), expected.len());
}
