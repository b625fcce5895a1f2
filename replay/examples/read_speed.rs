//! How fast slices are read and decoded, and events encoded: the figure that a replay is measured against.
//!
//! `cargo run --release -p segue-replay --example read_speed FOLDER…`

use std::ops::ControlFlow;
use std::time::Instant;

use segue_dataflow::event::Event;
use segue_replay::publish::Batch;
use segue_replay::source::{Fault, Reader, Sink, find};

/// Takes events and, if asked to, encodes them.
struct Count {
    encode: bool,
    batch: Batch,
    bytes: u64,
}

impl Sink for Count {
    fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        if self.encode {
            self.batch.push(event);
            if self.batch.is_full() {
                self.bytes += self.batch.ndjson().len() as u64;
                self.batch.clear();
            }
        }
        ControlFlow::Continue(())
    }

    fn fault(&mut self, fault: Fault) {
        eprintln!("{fault}");
    }
}

fn main() {
    for folder in std::env::args().skip(1) {
        let inputs = find(&[folder.clone().into()]).expect("slices");
        let mb = inputs.iter().map(|i| i.bytes).sum::<u64>() as f64 / 1e6;
        for encode in [false, true] {
            let mut sink = Count { encode, batch: Batch::default(), bytes: 0 };
            let mut reader = Reader::new();
            let started = Instant::now();
            let _ = reader.read_all(&inputs, &mut sink);
            let (s, counts) = (started.elapsed().as_secs_f64(), reader.counts());
            println!(
                "{folder} {}: {mb:.0} MB on disk in {s:.2} s, {:.0} MB/s, {:.0} playlists/s, {:.0} events/s, {} MB of events",
                if encode { "read, decode, encode" } else { "read, decode" },
                mb / s,
                counts.playlists as f64 / s,
                counts.events as f64 / s,
                sink.bytes / 1_000_000,
            );
        }
    }
}
