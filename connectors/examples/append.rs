//! Measures the log on disk: append latency and throughput, with and without fsync, and reading it all.
//!
//! `cargo run --release -p segue-connectors --example append -- FOLDER` makes and removes its logs there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use segue_connectors::embedded::{Embedded, OpenError, Options, SyncMode};
use segue_connectors::log::{Error, Log, Record};

/// About what an event of one added track has.
const PAYLOAD_BYTES: usize = 200;
/// How long each row is measured.
const RUN: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("usage: append FOLDER")]
    Usage,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Log(#[from] Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn main() -> Result<(), Failure> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or(Failure::Usage)?;
    println!(
        "{:>5} {:>8} {:>6} {:>12} {:>9} {:>9} {:>9}",
        "sync", "threads", "batch", "records/s", "p50 ms", "p99 ms", "max ms"
    );
    for sync in [SyncMode::Fsync, SyncMode::Os] {
        for (threads, batch) in [(1, 1), (1, 100), (8, 1), (8, 100), (64, 1)] {
            measure(&folder.join("append-example"), sync, threads, batch)?;
        }
    }
    Ok(())
}

fn measure(path: &Path, sync: SyncMode, threads: usize, batch: usize) -> Result<(), Failure> {
    let log = Embedded::open(path, Options { sync, ..Options::default() })?.log;
    let begun = Instant::now();
    let mut took = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| append(&log, batch, begun))).collect();
        let mut took = Vec::new();
        for thread in running {
            took.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, Error>(took)
    })?;
    let records = (took.len() * batch) as f64 / begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| took[((took.len() - 1) as f64 * part) as usize]);
    let [p50, p99, max] = [p50, p99, max].map(|took| took.as_secs_f64() * 1e3);
    println!("{sync:>5?} {threads:>8} {batch:>6} {records:>12.0} {p50:>9.3} {p99:>9.3} {max:>9.3}");
    let begun = Instant::now();
    let (end, mut next) = (log.end(0)?, 0);
    while next < end {
        next = log.read(0, next, 1 << 20)?.next;
    }
    println!("      read back: {:.0} records/s", end as f64 / begun.elapsed().as_secs_f64());
    drop(log);
    Ok(std::fs::remove_dir_all(path)?)
}

/// Appends until the time is over; how long each call took.
fn append(log: &Embedded, batch: usize, begun: Instant) -> Result<Vec<Duration>, Error> {
    let payload: Vec<u8> = (0..PAYLOAD_BYTES).map(|n| b'a' + (n * n % 26) as u8).collect();
    let records = vec![Record { key: "mpd:playlist:7", payload: Bytes::from(payload) }; batch];
    let mut took = Vec::new();
    while begun.elapsed() < RUN {
        let call = Instant::now();
        log.append(&records)?;
        took.push(call.elapsed());
    }
    Ok(took)
}
