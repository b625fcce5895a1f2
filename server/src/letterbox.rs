//! The letterbox: dead letters of records that are on the log already, written by a thread of its own, so
//! that no worker waits for a disk or a broker. Whoever reads the log does wait, before passing over them.
//!
//! The log is read again after a restart, so the same records are refused again: one that had a letter by then
//! gets no second one. And nothing is lost: what a crash or a full disk kept from being written is refused
//! again too: no snapshot is taken past a letter that is not written ([`Letterbox::flush`]), so a restart begins before
//! it. What fails for a while only (a broker that is away) is tried until it works.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use segue_connectors::dead_letters::{DeadLetters, Origin, Refused};
use segue_connectors::log::{Error, Log, Position, Stored};
use segue_dataflow::event::Code;

use crate::health::Health;
use crate::metrics;
use crate::service::refused;

/// Letters that wait at the most; whoever brings one more waits.
const WAITING_MAX: usize = 256;
/// How long to wait before trying again.
const LATER: Duration = Duration::from_secs(1);
/// How long a flush waits for letters that are tried again and again.
const FLUSH: Duration = Duration::from_secs(3);

/// Some letters are not written, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a restart from it would not write dead letters that are not written by now: {0}")]
pub struct Unwritten(String);

/// Where to put letters.
pub struct Letterbox {
    /// None once closed.
    line: Mutex<Option<SyncSender<Item>>>,
    health: Arc<Health>,
    hurry: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Item {
    Letter(Refused),
    /// The engine refused this record, since an id in it is taken. It is looked up on the log.
    Taken(Position, String),
    /// To be answered once all before it are written, or never will be, and why.
    Flush(SyncSender<Result<(), Error>>),
}

impl Letterbox {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn open(
        dead_letters: &Arc<DeadLetters>,
        log: &Arc<dyn Log>,
        health: &Arc<Health>,
    ) -> std::io::Result<Self> {
        let (line, waiting) = sync_channel(WAITING_MAX);
        let hurry = Arc::new(AtomicBool::new(false));
        let mut writer = Writer {
            dead_letters: Arc::clone(dead_letters),
            log: Arc::clone(log),
            health: Arc::clone(health),
            hurry: Arc::clone(&hurry),
            known: None,
        };
        let thread = Builder::new().name("dead-letters".into()).spawn(move || writer.run(&waiting))?;
        let (line, thread) = (Mutex::new(Some(line)), Mutex::new(Some(thread)));
        Ok(Letterbox { line, health: Arc::clone(health), hurry, thread })
    }

    /// Takes a letter; it is written soon. A closed box takes none.
    pub fn put(&self, letter: Refused) {
        self.send(Item::Letter(letter));
    }

    /// Takes what the engine refused: the letter of the record at this position is written soon.
    pub fn taken(&self, position: Position, detail: String) {
        self.send(Item::Taken(position, detail));
    }

    /// Waits until all letters that were put in are written, if that does not take long.
    ///
    /// # Errors
    /// Why they are not: they are found again only by whoever reads the log from before them.
    pub fn flush(&self) -> Result<(), Unwritten> {
        let (tell, told) = sync_channel(1);
        let line = self.line.lock().clone();
        let sent = line.is_some_and(|line| line.try_send(Item::Flush(tell)).is_ok());
        let waiting = || self.health.degraded().unwrap_or_else(|| "they wait to be written".to_owned());
        match told.recv_timeout(if sent { FLUSH } else { Duration::ZERO }) {
            Ok(written) => written.map_err(|error| Unwritten(error.to_string())),
            Err(_) => Err(Unwritten(waiting())),
        }
    }

    /// Takes letters and waits until they are written. If dead letters are out of order for good, which
    /// readiness tells, it does not wait: the next start finds them again.
    ///
    /// # Errors
    /// [`Error::Closed`]: they may not be written.
    pub fn write(&self, letters: Vec<Refused>) -> Result<(), Error> {
        if letters.is_empty() {
            return Ok(());
        }
        letters.into_iter().for_each(|letter| self.put(letter));
        let (tell, told) = sync_channel(1);
        self.send(Item::Flush(tell));
        told.recv().map(drop).map_err(|_| Error::Closed)
    }

    fn send(&self, item: Item) {
        let line = self.line.lock().clone();
        if let Some(line) = line {
            // It fails only if the thread has ended: it was in a hurry, or its panic ends the process.
            let _ = line.send(item);
        }
    }

    /// From here on nothing is tried again.
    pub fn hurry(&self) {
        self.hurry.store(true, Ordering::SeqCst);
        let thread = self.thread.lock();
        thread.iter().for_each(|thread| thread.thread().unpark());
    }

    /// Writes what is in it, and ends.
    pub fn close(&self) {
        self.hurry();
        self.line.lock().take();
        let thread = self.thread.lock().take();
        thread.into_iter().for_each(|thread| drop(thread.join()));
    }
}

struct Writer {
    dead_letters: Arc<DeadLetters>,
    log: Arc<dyn Log>,
    health: Arc<Health>,
    hurry: Arc<AtomicBool>,
    /// Marks of letters that were there before. Looked up at the first letter: most logs have no bad record.
    known: Option<HashSet<String>>,
}

impl Writer {
    fn run(&mut self, waiting: &Receiver<Item>) {
        while let Ok(first) = waiting.recv() {
            let (mut letters, mut flushes) = (Vec::new(), Vec::new());
            for item in std::iter::once(first).chain(waiting.try_iter().take(WAITING_MAX)) {
                match item {
                    Item::Letter(letter) => letters.push(Ok(letter)),
                    Item::Taken(position, detail) => letters.push(self.looked_up(position, detail)),
                    Item::Flush(tell) => flushes.push(tell),
                }
            }
            let letters: Result<Vec<_>, Error> = letters.into_iter().collect();
            let written = letters.and_then(|letters| self.write(letters));
            if let Err(Error::Closed) = written {
                return; // whoever waits hears that nobody will tell
            }
            // Whoever does not listen any more need not know.
            flushes.iter().for_each(|tell| tell.send(written.clone()).unwrap_or_default());
            if let Err(error) = written {
                self.health.degrade(format!("dead letters are not written: {error}"));
                for item in waiting {
                    if let Item::Flush(tell) = item {
                        let _ = tell.send(Err(error.clone()));
                    }
                }
                return;
            }
        }
    }

    /// The letter of a record on the log. If it is not there any more, it has no bytes.
    fn looked_up(&self, position: Position, detail: String) -> Result<Refused, Error> {
        let record = self.try_on(|| self.log.at(position))?;
        let (key, payload) = record.map(|Stored { key, payload, .. }| (key, payload)).unwrap_or_default();
        Ok(refused(Code::IdTaken, "", detail, Origin::Log(position), key, payload))
    }

    fn write(&mut self, mut letters: Vec<Refused>) -> Result<(), Error> {
        if letters.is_empty() {
            return Ok(());
        }
        let known = match self.known.take() {
            Some(known) => known,
            None => self.try_on(|| self.dead_letters.marks())?,
        };
        letters.retain(|letter| self.dead_letters.mark(letter).is_none_or(|mark| !known.contains(&mark)));
        self.known = Some(known);
        let codes: Vec<_> = letters.iter().map(|letter| letter.code).collect();
        self.try_on(|| self.dead_letters.push(&mut letters))?;
        codes.iter().for_each(|code| metrics::rejected(&code.to_string()));
        Ok(())
    }

    /// Tries until it works, or cannot any more.
    fn try_on<T>(&self, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        loop {
            let error = match attempt() {
                Err(error @ (Error::Unwritable { .. } | Error::Corrupt { .. } | Error::Closed)) => {
                    return Err(error);
                }
                Err(error) => error,
                done => {
                    self.health.waits_for(None);
                    return done;
                }
            };
            let told = format!("dead letters are not written yet, and no record after them is read: {error}");
            tracing::warn!("{told}");
            self.health.waits_for(Some(told));
            if !self.hurry.load(Ordering::SeqCst) {
                std::thread::park_timeout(LATER);
            }
            if self.hurry.load(Ordering::SeqCst) {
                return Err(Error::Closed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use segue_connectors::faulty::{Faulty, Step};
    use segue_connectors::log::Record;
    use segue_connectors::memory::Memory;

    use super::*;

    fn at(offset: u64) -> Refused {
        let origin = Origin::Log(Position { partition: 0, offset });
        refused(Code::IdTaken, "", "taken".into(), origin, None, None)
    }

    fn letters_on(log: impl Log + 'static) -> Arc<DeadLetters> {
        Arc::new(DeadLetters::Log { log: Arc::new(log), path: "there".into() })
    }

    fn box_on(dead_letters: &Arc<DeadLetters>) -> (Letterbox, Arc<Health>) {
        let (health, log) = (Arc::default(), Arc::new(Memory::new(NonZeroU32::MIN)) as _);
        (Letterbox::open(dead_letters, &log, &health).expect("a thread"), health)
    }

    fn positions(dead_letters: &DeadLetters, from: u64) -> Vec<String> {
        let letters = dead_letters.list(from, 1_000, 0).expect("readable");
        letters.into_iter().map(|(_, letter)| letter.position).collect()
    }

    #[test]
    fn a_position_has_its_letters_once_however_often_the_log_is_read() {
        let dead_letters = letters_on(Memory::new(NonZeroU32::MIN));
        let sent = Origin::Sent { source: "http".into(), position: "0:2".into() };
        dead_letters.push(&mut vec![Refused { origin: sent, ..at(2) }]).expect("written");
        // Positions come in no order, and one record may be refused for two reasons.
        for offsets in [&[7, 1, 1][..], &[7, 1, 1, 2], &[2, 9, 7]] {
            let (letterbox, _) = box_on(&dead_letters);
            offsets.iter().for_each(|offset| letterbox.put(at(*offset)));
            letterbox.close();
            letterbox.put(at(100));
            assert_eq!(letterbox.write(vec![at(101)]), Err(Error::Closed));
        }
        assert_eq!(positions(&dead_letters, 1), ["0:7", "0:1", "0:1", "0:2", "0:9"]);
    }

    #[test]
    fn a_full_disk_is_told_and_holds_nobody_up() {
        let log = Faulty::new(Arc::new(Memory::new(NonZeroU32::MIN)));
        log.then([Step::Full]);
        let (letterbox, health) = box_on(&letters_on(log));
        (0..3).for_each(|_| assert_eq!(letterbox.write(vec![at(0)]), Ok(())));
        (0..3 * WAITING_MAX as u64).for_each(|n| letterbox.put(at(n)));
        let unwritten = letterbox.flush().expect_err("whoever would read on from here is told").to_string();
        assert!(unwritten.contains("no space left on device"), "{unwritten}");
        letterbox.close();
        let told = health.degraded().expect("told");
        assert!(told.starts_with("dead letters are not written: faulty: "), "{told}");
    }

    #[test]
    fn what_fails_for_a_while_is_tried_again_and_told_meanwhile() {
        let log = Arc::new(Faulty::new(Arc::new(Memory::new(NonZeroU32::MIN))));
        log.then([Step::FailBefore]);
        let dead_letters = Arc::new(DeadLetters::Log { log, path: "there".into() });
        let (letterbox, health) = box_on(&dead_letters);
        assert_eq!(letterbox.write(vec![at(0), at(1)]), Ok(()));
        assert_eq!((positions(&dead_letters, 0).len(), health.degraded()), (2, None));
        letterbox.close();
    }

    #[test]
    fn what_the_engine_refused_is_looked_up_on_the_log() {
        let log: Arc<dyn Log> = Arc::new(Memory::new(NonZeroU32::MIN));
        let records = ["zero", "one"].map(|text| Record { key: "k", payload: text.into() });
        log.append(&records).expect("in memory");
        let dead_letters = letters_on(Memory::new(NonZeroU32::MIN));
        let letterbox = Letterbox::open(&dead_letters, &log, &Arc::default()).expect("a thread");
        // The third has been forgotten by the log.
        for offset in [1, 0, 2] {
            letterbox.taken(Position { partition: 0, offset }, "taken".to_owned());
        }
        assert_eq!(letterbox.flush(), Ok(()));
        let letters = dead_letters.list(0, 9, 99).expect("readable");
        let shown: Vec<_> = letters.iter().map(|(_, one)| (&*one.position, one.raw.to_bytes())).collect();
        assert_eq!(shown, [("0:1", "one".into()), ("0:0", "zero".into()), ("0:2", "".into())]);
        letterbox.close();
        assert!(letterbox.flush().is_err());
    }

    #[test]
    fn in_a_hurry_nothing_is_tried_again() {
        let log = Arc::new(Faulty::new(Arc::new(Memory::new(NonZeroU32::MIN))));
        log.then(std::iter::repeat_n(Step::FailBefore, 100));
        let dead_letters = Arc::new(DeadLetters::Log { log, path: "there".into() });
        let (letterbox, health) = box_on(&dead_letters);
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| letterbox.write(vec![at(0)]));
            while health.degraded().is_none() {
                std::thread::yield_now();
            }
            letterbox.hurry();
            assert_eq!(writing.join().expect("no panic"), Err(Error::Closed));
        });
        letterbox.close();
        assert_eq!(dead_letters.count(), Ok(0));
    }
}
