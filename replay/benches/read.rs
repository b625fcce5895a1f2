//! Reading slices and making playlists up: `make bench`.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use segue_dataflow::event::Event;
use segue_replay::generate::{Job, Playlists, SLICE_PLAYLISTS};
use segue_replay::source::{Fault, Reader, Sink, find};

struct Nowhere;

impl Sink for Nowhere {
    fn event(&mut self, _event: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn fault(&mut self, fault: Fault) {
        panic!("generated slices have no faults: {fault}");
    }
}

fn slices(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a slice of 1,000 playlists");
    for gzip in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let job = Job { seed: 1, playlists: SLICE_PLAYLISTS, edits: 0, gzip, threads: 1 };
        let written = job.write(folder.path(), &AtomicBool::new(false)).expect("it is written");
        let inputs = find(&[folder.path().to_owned()]).expect("it is found");
        group.throughput(Throughput::Bytes(written.bytes)).sample_size(20);
        group.bench_function(if gzip { "read and decode, packed" } else { "read and decode" }, |b| {
            b.iter(|| Reader::new().read_all(&inputs, &mut Nowhere));
        });
    }
    group.throughput(Throughput::Elements(SLICE_PLAYLISTS));
    group.bench_function("make up", |b| b.iter(|| Playlists::new(1, SLICE_PLAYLISTS).count()));
    group.finish();
}

criterion_group!(read, slices);
criterion_main!(read);
