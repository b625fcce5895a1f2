//! The letterbox: dead letters of records that are on the log already, written by a thread of its own, so
//! that no worker waits for a disk.
//!
//! The log is read from its beginning at every start, so the same records are refused again: a position
//! that has a letter gets no second one. And nothing is lost: what a crash or a full disk kept from being
//! written is refused again too.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use segue_connectors::dead_letters::{DeadLetter, DeadLetters};
use segue_connectors::log::Error;

use crate::health::Health;
use crate::metrics;

/// The source of these letters.
pub const LOG: &str = "log";
/// Letters that wait at the most; whoever brings one more waits. Each has at most 64 KiB of its record.
const WAITING_MAX: usize = 256;

/// Where to put letters.
pub struct Letterbox {
    /// None once closed.
    line: Mutex<Option<SyncSender<DeadLetter>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Letterbox {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn open(dead_letters: &Arc<DeadLetters>, health: &Arc<Health>) -> std::io::Result<Self> {
        let (line, waiting) = sync_channel(WAITING_MAX);
        let (dead_letters, health) = (Arc::clone(dead_letters), Arc::clone(health));
        let thread = Builder::new().name("dead-letters".into()).spawn(move || {
            if let Err(error) = run(&waiting, &dead_letters) {
                health.degrade(format!("dead letters are not written: {error}"));
                // Nobody is held up; the next start finds them again.
                waiting.iter().for_each(drop);
            }
        })?;
        Ok(Letterbox { line: Mutex::new(Some(line)), thread: Mutex::new(Some(thread)) })
    }

    /// Takes a letter; it is written soon. A closed box takes none.
    pub fn put(&self, letter: DeadLetter) {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(line) = line {
            // It fails only if the thread has panicked, which ends the process.
            let _ = line.send(letter);
        }
    }

    /// Writes what is in it, and ends.
    pub fn close(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn run(waiting: &Receiver<DeadLetter>, dead_letters: &DeadLetters) -> Result<(), Error> {
    let Ok(mut first) = waiting.recv() else { return Ok(()) };
    // Looked up now and not at the start: most logs have no bad record.
    let known = dead_letters.positions(LOG)?;
    loop {
        let letters = std::iter::once(first).chain(waiting.try_iter().take(WAITING_MAX));
        let fresh: Vec<_> = letters.filter(|letter| !known.contains(&letter.position)).collect();
        dead_letters.push(&fresh)?;
        fresh.iter().for_each(|letter| metrics::rejected(&letter.code.to_string()));
        match waiting.recv() {
            Ok(next) => first = next,
            Err(_) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use segue_connectors::faulty::{Faulty, Step};
    use segue_connectors::memory::Memory;
    use segue_dataflow::event::Code;

    use super::*;
    use crate::service::letter;

    fn at(position: &str) -> DeadLetter {
        letter(Code::IdTaken, "", "taken".into(), (LOG, position.into()), b"")
    }

    fn box_on(dead_letters: &Arc<DeadLetters>) -> (Letterbox, Arc<Health>) {
        let health = Arc::default();
        (Letterbox::open(dead_letters, &health).expect("a thread"), health)
    }

    #[test]
    fn a_position_has_its_letters_once_however_often_the_log_is_read() {
        let dead_letters = Arc::new(DeadLetters::on(Arc::new(Memory::new(NonZeroU32::MIN)), "memory"));
        let from_http = letter(Code::IdTaken, "", String::new(), ("http", "0:2".into()), b"");
        dead_letters.push(&[from_http]).expect("written");
        // Positions come in no order, and one record may be refused for two reasons.
        for positions in [&["0:7", "0:1", "0:1"][..], &["0:7", "0:1", "0:1", "0:2"], &["0:2", "0:9", "0:7"]] {
            let (letterbox, _) = box_on(&dead_letters);
            positions.iter().for_each(|position| letterbox.put(at(position)));
            letterbox.close();
            letterbox.put(at("0:100"));
        }
        let written: Vec<_> =
            dead_letters.list(1, 100).expect("readable").into_iter().map(|(_, l)| l.position).collect();
        assert_eq!(written, ["0:7", "0:1", "0:1", "0:2", "0:9"]);
    }

    #[test]
    fn a_full_disk_is_told_and_holds_nobody_up() {
        let log = Faulty::new(Arc::new(Memory::new(NonZeroU32::MIN)));
        log.then([Step::Full]);
        let (letterbox, health) = box_on(&Arc::new(DeadLetters::on(Arc::new(log), "faulty")));
        (0..3 * WAITING_MAX).for_each(|n| letterbox.put(at(&n.to_string())));
        letterbox.close();
        let told = health.degraded().expect("told");
        assert!(told.starts_with("dead letters are not written: faulty: "), "{told}");
    }
}
