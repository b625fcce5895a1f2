//! The worker threads as the server uses them: batches in, progress and answers out.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::history::{World, history};
use crate::twin::{Twin, assert_same};
use segue_dataflow::edit::Edit;
use segue_dataflow::event::{Change, Event, Track};
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::{Answer, Body, Question};
use segue_dataflow::settings::{Neighbours, Settings};
use segue_dataflow::snapshot::Restored;
use segue_dataflow::workers::{Answers, AskError, Batch, Cluster, Engine, Observer, Options, Progress};

/// Remembers what it is told, and lets others wait for it.
#[derive(Default)]
pub struct Watch {
    seen: Mutex<(Progress, Vec<(u64, String)>)>,
    news: Condvar,
}

impl Observer for Watch {
    fn complete(&self, progress: &Progress) {
        let mut seen = self.seen.lock().expect("no panic holds it");
        assert!(progress.as_of > seen.0.as_of, "{progress:?} after {:?}", seen.0);
        assert!(
            progress.next.len() >= seen.0.next.len()
                && progress.next.iter().zip(&seen.0.next).all(|(n, o)| n >= o)
        );
        seen.0 = progress.clone();
        self.news.notify_all();
    }

    fn refused(&self, seq: u64, detail: String) {
        self.seen.lock().expect("no panic holds it").1.push((seq, detail));
    }
}

impl Watch {
    /// Waits until the event before `next` is in all answers.
    pub fn wait(&self, partition: usize, next: u64) -> Progress {
        self.wait_while(|seen| seen.next.get(partition).is_none_or(|there| *there < next))
    }

    fn wait_while(&self, behind: impl Fn(&Progress) -> bool) -> Progress {
        let (seen, timeout) = self
            .news
            .wait_timeout_while(
                self.seen.lock().expect("no panic holds it"),
                Duration::from_secs(60),
                |seen| behind(&seen.0),
            )
            .expect("no panic holds it");
        assert!(!timeout.timed_out(), "no further than {:?}", seen.0);
        seen.0.clone()
    }
}

pub fn start(workers: usize, answers: Answers, restored: Option<Restored>) -> (Engine, Arc<Watch>) {
    start_with(Settings::default(), workers, answers, restored)
}

pub fn start_with(
    settings: Settings,
    workers: usize,
    answers: Answers,
    restored: Option<Restored>,
) -> (Engine, Arc<Watch>) {
    let (watch, epoch_gap) = (Arc::new(Watch::default()), Duration::from_millis(1));
    // No epoch ends by itself: what is fed must be enough.
    let heartbeat = Duration::from_secs(3_600);
    let options = Options { workers, epoch_gap, heartbeat, settings, answers };
    // One that stands still, and one that no two workers read alike: epochs go on all the same.
    let (reads, step) = (AtomicU64::new(1_000), if workers == 1 { 0 } else { 7 });
    let clock = Arc::new(move || reads.fetch_add(step, Ordering::SeqCst));
    let engine = Engine::start(options, clock, Arc::clone(&watch) as _, restored).expect("timely starts");
    (engine, watch)
}

pub fn ask(engine: &Engine, question: Question, to: &SyncSender<Answer>) {
    let to = to.clone();
    engine
        .ask(question, Box::new(move |answer| to.send(answer).expect("the test waits for it")))
        .expect("not busy");
}

#[test]
fn what_is_fed_is_in_the_next_answer() {
    let world = World { playlists: 30, tracks: 100, epochs: 300, fixed_names: false };
    let by = [Answers::Workers, Answers::Readers(3)];
    for (workers, answers) in [1, 2, 4].into_iter().flat_map(|workers| by.map(|by| (workers, by))) {
        let (engine, watch) = start(workers, answers, None);
        let (mut twin, mut next) = (Twin::default(), 0);
        let (to, told) = sync_channel(64);
        for (number, epoch) in history(7, world).into_iter().enumerate() {
            let edits = epoch.events.iter().zip(next..).map(|(event, seq)| Edit::new(seq, event)).collect();
            next += epoch.events.len() as u64;
            epoch.events.iter().for_each(|event| twin.apply(event));
            engine.feed(Batch { edits, partition: 0, next }).expect("running");
            if number % 10 != 0 {
                continue;
            }
            let progress = watch.wait(0, next);
            for question in epoch.questions {
                ask(&engine, question.clone(), &to);
                let answer = told.recv_timeout(Duration::from_secs(60)).expect("an answer");
                assert!(answer.as_of >= progress.as_of);
                let at = format!("{workers} workers, {answers:?}, epoch {number}");
                assert_same(&answer.body, &twin.answer(&question, &Settings::default()), &at);
            }
        }
        engine.stop().expect("no worker panics");
    }
}

/// What one process is fed, both answer, and both have rows of.
#[test]
fn two_processes_answer_as_one() {
    let world = World { playlists: 30, tracks: 100, epochs: 150, fixed_names: false };
    let neighbours = Neighbours { min_support: 3, grid_ms: 1, ..Neighbours::default() };
    let settings = Settings { neighbours, ..Settings::default() };
    let free: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let address = |free: &TcpListener| free.local_addr().expect("an address").to_string();
    let addresses: Vec<String> = free.iter().map(address).collect();
    drop(free);
    let join = |process| {
        let (watch, cluster) =
            (Arc::new(Watch::default()), Cluster { process, addresses: addresses.clone() });
        let (epoch_gap, heartbeat) = (Duration::from_millis(1), Duration::from_millis(5));
        let options = Options { workers: 2, epoch_gap, heartbeat, settings, answers: Answers::Workers };
        let engine = Engine::join(cluster, options, Arc::new(|| 1), Arc::clone(&watch) as _, None);
        (engine.expect("timely starts"), watch)
    };
    let members = std::thread::scope(|scope| {
        let members = [0, 1].map(|process| scope.spawn(move || join(process)));
        members.map(|member| member.join().expect("no panic"))
    });
    let (mut twin, mut next, mut compared) = (Twin::default(), 0, 0);
    let (to, told) = sync_channel(64);
    for (number, epoch) in history(8, world).into_iter().enumerate() {
        let edits = epoch.events.iter().zip(next..).map(|(event, seq)| Edit::new(seq, event)).collect();
        next += epoch.events.len() as u64;
        epoch.events.iter().for_each(|event| twin.apply(event));
        members[0].0.feed(Batch { edits, partition: 0, next }).expect("running");
        if number % 10 != 0 {
            continue;
        }
        let rows = twin.rows(&neighbours);
        // Where a partition is read to, the process knows that is fed.
        let as_of = members[0].1.wait(0, next).as_of;
        for (process, (engine, watch)) in members.iter().enumerate() {
            let at = format!("process {process}, epoch {number}");
            watch.wait_while(|seen| seen.as_of < as_of);
            while engine.graph().1 < as_of {
                std::thread::yield_now();
            }
            let of_rows = rows.keys().map(|track| Question::Neighbours { track: *track, limit: 100 });
            for question in epoch.questions.iter().cloned().chain(of_rows) {
                ask(engine, question.clone(), &to);
                let mut answer = told.recv_timeout(Duration::from_secs(60)).expect("an answer");
                let twin = match (&question, &mut answer.body) {
                    (Question::Neighbours { track, limit }, Body::Neighbours(Some(found)))
                        if found.graph.is_some() =>
                    {
                        compared += 1;
                        Body::Neighbours(twin.listed(*track, *limit, &rows[track], found.graph))
                    }
                    _ => twin.answer(&question, &settings),
                };
                assert_same(&answer.body, &twin, &at);
            }
        }
    }
    assert!(compared > 200, "{compared} rows");
    // Both go: neither ends alone.
    std::thread::scope(|scope| {
        members.iter().for_each(|(engine, _)| {
            scope.spawn(|| engine.stop().expect("no worker panics"));
        });
    });
}

#[test]
fn two_partitions_move_on_by_themselves() {
    let (engine, watch) = start(2, Answers::Readers(2), None);
    for n in 0..100_u64 {
        for partition in [0, 3] {
            let change = Change::TrackAdded {
                playlist: format!("p:{partition}").into(),
                track: Track::new(format!("t:{n}")),
            };
            let edits = vec![Edit::new(n, &Event { at_ms: 0, change })];
            engine.feed(Batch { edits, partition, next: n + 1 }).expect("running");
        }
    }
    assert!(engine.wait(3, 100) && engine.wait(0, 100));
    let (to, answers) = sync_channel(1);
    ask(&engine, Question::Track(TrackId::of("t:42")), &to);
    let answer = answers.recv_timeout(Duration::from_secs(60)).expect("an answer");
    assert_eq!(answer.next, [100, 0, 0, 100]);
    assert!(matches!(answer.body, Body::Track(Some(track)) if track.playlists == 2));
    watch.wait(3, 100);
    assert_eq!(watch.wait(0, 100).next, [100, 0, 0, 100]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.wait(0, 101));
        engine.stop().expect("no worker panics");
        assert!(!waiting.join().expect("no panic"), "it never comes");
    });
}

#[test]
fn a_stopped_engine_drops_its_questions() {
    for by in [Answers::Workers, Answers::Readers(1)] {
        let (engine, _watch) = start(2, by, None);
        let (to, answers) = sync_channel(1);
        ask(&engine, Question::State, &to);
        drop(to);
        engine.stop().expect("no worker panics");
        // Answered before the end, or dropped with its way back: either way nobody waits for ever.
        let _ = answers
            .recv_timeout(Duration::from_secs(60))
            .err()
            .map(|e| assert_eq!(e.to_string(), "channel is empty and sending half is closed"));
        let (engine, _watch) = start(1, by, None);
        let refused = (0..200_000).find_map(|_| engine.ask(Question::State, Box::new(|_| {})).err());
        assert!(matches!(refused, None | Some(AskError::Busy)));
        engine.stop().expect("no worker panics");
        assert!(by == Answers::Workers || engine.ask(Question::State, Box::new(|_| {})).is_err());
    }
}
