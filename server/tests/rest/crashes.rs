//! kill -9 under load: no acknowledged event is missing, and the digest is the one the events make.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use segue_dataflow::digest::Digest;
use segue_dataflow::ids::{PlaylistId, TrackId};
use serde_json::json;

use crate::harness::Server;

/// In CI; the soak run does ten times as many.
const ROUNDS: u32 = 20;

#[test]
fn no_acknowledged_event_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let rounds = if std::env::var_os("SEGUE_SOAK").is_some() { 10 * ROUNDS } else { ROUNDS };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Only additions, each of its own track: whether one without an answer is there can be seen.
    let (sent, acknowledged) = (Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
    for round in 0..rounds {
        let enough = rng.random_range(1..40_usize);
        let running = Arc::new(AtomicBool::new(true));
        let before = acknowledged.lock().unwrap().len();
        std::thread::scope(|scope| {
            for client in 0..3 {
                let (server, running, sent, acknowledged) = (&server, &running, &sent, &acknowledged);
                scope.spawn(move || {
                    for n in 0.. {
                        if !running.load(Ordering::SeqCst) {
                            break;
                        }
                        let entry = (format!("p:{client}:{}", n % 7), format!("t:{round}:{client}:{n}"));
                        let event = json!({"v": 1, "type": "track_added", "playlist": entry.0, "track": {"uri": entry.1}, "at": "2024-05-01T12:00:00Z"});
                        sent.lock().unwrap().push(entry.clone());
                        match server.try_post("/v1/events", "application/json", event.to_string()) {
                            Some(reply) if reply.status == 202 => drop(acknowledged.lock().unwrap().insert(entry)),
                            _ => break,
                        }
                    }
                });
            }
            let id = server.pid().to_string();
            crate::harness::until("enough acknowledged", || {
                (acknowledged.lock().unwrap().len() >= before + enough).then_some(())
            });
            assert!(std::process::Command::new("kill").args(["-9", &id]).status().unwrap().success());
            running.store(false, Ordering::SeqCst);
        });
        server = server.again();
        let mut there = BTreeSet::new();
        for playlist in (0..3).flat_map(|client| (0..7).map(move |n| format!("p:{client}:{n}"))) {
            let reply = server.get(&format!("/v1/playlists/{playlist}"));
            for track in reply.body["tracks"].as_array().into_iter().flatten() {
                there.insert((playlist.clone(), track["uri"].as_str().unwrap().to_owned()));
            }
        }
        let (sent, acknowledged) = (sent.lock().unwrap(), acknowledged.lock().unwrap());
        let missing: Vec<_> = acknowledged.difference(&there).collect();
        assert!(missing.is_empty(), "round {round}: acknowledged and gone: {missing:?}");
        assert!(there.iter().all(|entry| sent.contains(entry)), "round {round}: something nobody sent");
        let mut digest = Digest::default();
        there.iter().for_each(|(p, t)| digest.update(PlaylistId::of(p), TrackId::of(t), 1));
        assert_eq!(server.state()["digest"], digest.to_string(), "round {round}");
    }
}
