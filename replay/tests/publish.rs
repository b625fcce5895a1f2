//! Publishing: a real HTTP server that is busy first, pacing on a clock of our own, going on after a stop.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use segue_dataflow::event::{Change, Event};
use segue_replay::cli::ReplayArgs;
use segue_replay::publish::{
    Batch, Clock, HttpTarget, Pace, Progress, Publisher, Receipt, SystemClock, Target, TargetError,
};
use segue_replay::source::Sink;

fn event(n: i64) -> Event<'static> {
    Event { at_ms: n * 1000, change: Change::PlaylistDeleted { playlist: format!("p{n}").into() } }
}

/// Answers one request after the other with these (status and headers, body); gives back what was asked.
fn serve(listener: &TcpListener, answers: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut asked = Vec::new();
    for (head, body) in answers {
        let (stream, _) = listener.accept().expect("a request");
        asked.push(request(&stream));
        let length = body.len();
        write!(&stream, "HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
            .expect("a request");
    }
    asked
}

fn request(stream: &TcpStream) -> (String, String) {
    let mut stream = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).expect("a request");
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).expect("a request");
        if header.trim().is_empty() {
            break;
        }
        if let Some(n) = header.to_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().expect("a request");
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a request");
    (first.trim().to_owned(), String::from_utf8(body).expect("a request"))
}

#[test]
fn a_busy_server_is_asked_again_and_its_refusals_are_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let accepted = r#"{"accepted":2,"rejected":[{"index":1,"code":"id_taken","detail":"d"}],"token":"T"}"#;
    let server = thread::spawn(move || {
        serve(
            &listener,
            &[
                ("503 Service Unavailable\r\nretry-after: 0", ""),
                ("429 Too Many Requests", ""),
                ("202 Accepted", accepted),
                ("200 OK", r#"{"visible":false}"#),
                ("200 OK", r#"{"visible":true}"#),
            ],
        )
    });
    let (interrupted, mut clock, mut progress) =
        (AtomicBool::new(false), SystemClock::default(), Progress::hidden());
    let mut target = HttpTarget::new(base);
    let mut publisher =
        Publisher::new(&mut target, Pace::Unpaced, 0, &mut clock, &interrupted, &mut progress);
    for n in 0..3 {
        assert!(publisher.event(&event(n)).is_continue());
    }
    let outcome = publisher.finish().unwrap();
    assert_eq!((outcome.accepted, outcome.rejected["id_taken"], outcome.next_offset), (2, 1, 3));
    assert!(!outcome.is_done());
    let asked = server.join().unwrap();
    let lines: String = (0..3).map(|n| event(n).to_json() + "\n").collect();
    for (first, body) in &asked[..3] {
        assert_eq!((first.as_str(), body), ("POST /v1/events HTTP/1.1", &lines));
    }
    assert!(asked[3..].iter().all(|(first, _)| first.starts_with("GET /v1/tokens/T?wait_ms=")), "{asked:?}");
}

#[test]
fn a_server_that_is_gone_or_another_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut batch = Batch::default();
    batch.push(&event(1));
    let go_on = AtomicBool::new(false);
    let server = thread::spawn(move || {
        serve(&listener, &[("200 OK", "hello"), ("202 Accepted", "hello"), ("400 Bad Request", "no")])
    });
    let mut target = HttpTarget::new(base).retry_ms_max(200);
    assert!(matches!(target.send(&batch, &go_on), Err(TargetError::Refused { status: 200, .. })));
    assert!(matches!(target.send(&batch, &go_on), Err(TargetError::NotSegue { .. })));
    assert!(matches!(target.send(&batch, &go_on), Err(TargetError::Refused { status: 400, .. })));
    server.join().unwrap();
    assert!(matches!(target.send(&batch, &go_on), Err(TargetError::Unavailable { .. })));
    assert!(matches!(target.send(&batch, &AtomicBool::new(true)), Err(TargetError::Interrupted)));
}

#[test]
fn a_batch_of_which_nothing_is_taken_is_counted_and_the_next_one_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let refused = r#"{"accepted":0,"rejected":[{"index":0,"code":"id_taken","detail":"d"}]}"#;
    let server = thread::spawn(move || {
        serve(
            &listener,
            &[
                ("202 Accepted", refused),
                ("400 Bad Request", refused),
                ("202 Accepted", r#"{"accepted":1,"rejected":[]}"#),
            ],
        )
    });
    let mut target = HttpTarget::new(base);
    let mut batch = Batch::default();
    batch.push(&event(1));
    let receipts = [(); 3].map(|()| target.send(&batch, &AtomicBool::new(false)).unwrap());
    assert_eq!(receipts.map(|receipt| (receipt.accepted, receipt.rejected.len())), [(0, 1), (0, 1), (1, 0)]);
    server.join().unwrap();
}

/// Time passes only while somebody waits.
#[derive(Default)]
struct FakeClock(Duration);

impl Clock for FakeClock {
    fn elapsed(&self) -> Duration {
        self.0
    }

    fn wait_until(&mut self, deadline: Duration, _interrupted: &AtomicBool) {
        self.0 = self.0.max(deadline);
    }
}

/// Keeps the sizes of its batches, and stops the run after some events.
struct Sizes<'a> {
    sizes: Vec<usize>,
    stop_after: usize,
    interrupted: &'a AtomicBool,
}

impl Target for Sizes<'_> {
    fn send(&mut self, batch: &Batch, _interrupted: &AtomicBool) -> Result<Receipt, TargetError> {
        assert_eq!(batch.lines().count(), batch.events());
        self.sizes.push(batch.events());
        if self.sizes.iter().sum::<usize>() >= self.stop_after {
            self.interrupted.store(true, Ordering::Relaxed);
        }
        Ok(Receipt::all(batch))
    }

    fn finish(&mut self, _interrupted: &AtomicBool) -> Result<(), TargetError> {
        Ok(())
    }
}

fn paced(pace: Pace, events: i64, stop_after: usize) -> (Duration, Vec<usize>, u64, bool) {
    let (interrupted, mut clock, mut progress) =
        (AtomicBool::new(false), FakeClock::default(), Progress::hidden());
    let mut target = Sizes { sizes: vec![], stop_after, interrupted: &interrupted };
    let mut publisher = Publisher::new(&mut target, pace, 0, &mut clock, &interrupted, &mut progress);
    let _ = (0..events).try_for_each(|n| match publisher.event(&event(n)) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(()) => Err(()),
    });
    let outcome = publisher.finish().expect("this target does not fail");
    (clock.0, target.sizes, outcome.next_offset, outcome.interrupted)
}

#[test]
fn rate_and_speed_take_the_time_they_should() {
    let (took, sizes, next, _) = paced(Pace::Rate(1000.0), 2001, usize::MAX);
    assert_eq!((took, next), (Duration::from_secs(2), 2001));
    // 20 a tick, and one more where a due time was rounded over the next tick.
    assert!(sizes.iter().all(|&n| n <= 21), "{sizes:?}");
    let (took, sizes, ..) = paced(Pace::Speed { factor: 10.0, first_at_ms: None }, 101, usize::MAX);
    assert_eq!((took, sizes.len()), (Duration::from_secs(10), 101));
}

#[test]
fn an_interrupt_stops_after_the_batch_in_flight() {
    let (_, sizes, next, interrupted) = paced(Pace::Rate(1000.0), 2001, 500);
    assert!(interrupted);
    assert_eq!(next as usize, sizes.iter().sum::<usize>());
    assert!((500..540).contains(&next), "{next}");
}

#[test]
fn a_file_is_copied_and_goes_on_from_an_offset() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..100).map(|n| event(n).to_json() + "\n").collect();
    fs::write(dir.path().join("in.ndjson"), lines.concat()).unwrap();
    let replay = |source: &str, to: &str, from_offset| {
        let to = dir.path().join(to).display().to_string().parse().unwrap();
        let sources = vec![dir.path().join(source)];
        ReplayArgs {
            sources,
            to,
            rate: None,
            speed: None,
            from_offset,
            create_topic: false,
            partitions: None,
            kafka_properties: Vec::new(),
            json: false,
        }
        .run(&AtomicBool::new(false))
    };
    let read = |name: &Path| fs::read_to_string(name).unwrap();
    assert_eq!(replay("in.ndjson", "packed.ndjson.gz", 0).unwrap().accepted, 100);
    assert!(replay("packed.ndjson.gz", "out.ndjson", 0).unwrap().is_done());
    assert_eq!(read(&dir.path().join("out.ndjson")), lines.concat());
    fs::write(dir.path().join("part.ndjson"), lines[..40].concat()).unwrap();
    let outcome = replay("in.ndjson", "part.ndjson", 40).unwrap();
    assert_eq!((outcome.accepted, outcome.next_offset), (60, 100));
    assert_eq!(read(&dir.path().join("part.ndjson")), lines.concat());
    let same = replay("in.ndjson", "in.ndjson", 0).unwrap_err();
    assert!(same.is_wrong_use() && same.to_string().contains("both a source and the target"), "{same}");
    assert_eq!(read(&dir.path().join("in.ndjson")), lines.concat());
}
