//! The broker is killed and started again while events flow: nothing that was acknowledged is missing, and
//! readers go on by themselves.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use segue_connectors::log::{Log, Position};

use crate::broker::Broker;
use crate::harness::{drain, open};
use crate::suite::{LONG, record};

const PARTITIONS: u32 = 2;
const KILLS: usize = 2;
const WRITERS: usize = 4;
/// Acknowledged appends between two kills.
const BETWEEN: usize = 300;

#[test]
fn what_was_acknowledged_survives_the_broker() {
    let broker = Broker::start();
    let settings = broker.topic("crash", PARTITIONS);
    let (log, reader) = (open(&settings), open(&settings));
    let acknowledged: Mutex<BTreeMap<Position, String>> = Mutex::default();
    let (stop, written) = (AtomicBool::new(false), AtomicBool::new(false));
    let count = || acknowledged.lock().unwrap().len();
    let reads: Vec<BTreeMap<Position, String>> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..PARTITIONS)
            .map(|partition| {
                let (reader, written) = (&reader, &written);
                scope.spawn(move || {
                    let (mut seen, mut next) = (BTreeMap::new(), 0);
                    loop {
                        let is_last = written.load(Ordering::SeqCst);
                        let read = reader.read(partition, next, 1 << 20).unwrap();
                        for stored in read.records {
                            let text = String::from_utf8(stored.payload.unwrap().to_vec()).unwrap();
                            let position = Position { partition, offset: stored.offset };
                            assert_eq!(seen.insert(position, text), None, "{position} came twice");
                        }
                        if read.next > next {
                            next = read.next;
                        } else if is_last && next >= reader.end(partition).unwrap() {
                            return seen;
                        } else {
                            reader.wait(partition, next, LONG / 60).unwrap();
                        }
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (log, acknowledged, stop) = (&log, &acknowledged, &stop);
                scope.spawn(move || {
                    for n in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            return;
                        }
                        let text = format!("{writer} {n}");
                        // What was not acknowledged may be there or not; it is not sent again.
                        if let Ok(positions) = log.append(&[record(&format!("key {}", n % 10), &text)]) {
                            let twice = acknowledged.lock().unwrap().insert(positions[0], text);
                            assert_eq!(twice, None);
                        }
                    }
                })
            })
            .collect();
        for _ in 0..KILLS {
            let before = count();
            crate::harness::eventually("appends go on", || (count() >= before + BETWEEN).then_some(()));
            broker.kill();
            broker.restart();
        }
        let before = count();
        crate::harness::eventually("appends go on", || (count() >= before + BETWEEN).then_some(()));
        stop.store(true, Ordering::SeqCst);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        written.store(true, Ordering::SeqCst);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let read: BTreeMap<Position, String> = reads.into_iter().flatten().collect();
    for (position, text) in acknowledged.lock().unwrap().iter() {
        assert_eq!(read.get(position), Some(text), "{position}");
    }
    // A fresh reader sees the same.
    let fresh = open(&settings);
    let again = (0..PARTITIONS).flat_map(|partition| {
        let (records, _) = drain(&fresh, partition, 0).unwrap();
        records.into_iter().map(move |stored| Position { partition, offset: stored.offset })
    });
    assert_eq!(again.collect::<Vec<_>>(), read.into_keys().collect::<Vec<_>>());
}
