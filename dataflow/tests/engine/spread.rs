//! How the workers of a run are spread over threads and processes. Processes as timely knows them: with nothing in
//! common but connections, though here they share a real one.

use std::fmt;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use segue_dataflow::query::Board;
use segue_dataflow::settings::Settings;
use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{AllocatorBuilder, Hooks, WorkerGuards};
use timely::worker::Worker;
use timely::{CommunicationConfig, WorkerConfig};

/// So many processes with so many workers each.
#[derive(Clone, Copy)]
pub struct Spread {
    pub processes: usize,
    pub workers: usize,
    /// Whether workers of one process send one another bytes too.
    pub bytes: bool,
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = if self.bytes { ", as bytes" } else { "" };
        write!(f, "{} × {} workers{bytes}", self.processes, self.workers)
    }
}

impl Spread {
    /// In one process.
    pub fn threads(workers: usize) -> Self {
        Spread { processes: 1, workers, bytes: false }
    }

    /// Over this number of processes.
    pub fn processes(processes: usize, workers: usize) -> Self {
        Spread { processes, workers, bytes: false }
    }

    /// Workers of all processes.
    pub fn all(self) -> usize {
        self.processes * self.workers
    }

    /// A board for each process.
    pub fn boards(self, settings: Settings) -> Vec<Arc<Board>> {
        (0..self.processes).map(|_| Arc::new(Board::new(self.workers, settings))).collect()
    }

    /// Has every worker do this, given the number of its process, and waits until all have.
    pub fn run(self, work: impl Fn(&mut Worker, usize) + Clone + Send + Sync + 'static) {
        let guards = self.allocators().into_iter().enumerate().map(|(process, (builders, comms))| {
            let work = work.clone();
            timely::execute::execute_from(builders, comms, WorkerConfig::default(), move |worker| {
                work(worker, process);
            })
        });
        let guards: Vec<WorkerGuards<()>> = guards.map(|guards| guards.expect("timely starts")).collect();
        let ended = guards.into_iter().flat_map(|guards| guards.join());
        ended.for_each(|worker| worker.expect("no worker panics"));
    }

    fn allocators(self) -> Vec<(Vec<AllocatorBuilder>, Box<dyn std::any::Any + Send>)> {
        if self.processes == 1 {
            let config = match self.bytes {
                false => CommunicationConfig::Process(self.workers),
                true => CommunicationConfig::ProcessBinary(self.workers),
            };
            return vec![config.try_build().expect("threads need nothing")];
        }
        let connected = connections(self.processes).into_iter().enumerate().map(|(process, sockets)| {
            let Hooks { refill, spill, .. } = Hooks::default();
            let local = match self.bytes {
                false => ProcessBuilder::new_typed_vector(self.workers, refill, spill),
                true => ProcessBuilder::new_bytes_vector(self.workers, refill, spill),
            };
            let (builders, comms) =
                initialize_networking_from_sockets(local, sockets, process, self.workers, Hooks::default())
                    .expect("they are connected");
            let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
            (builders, Box::new(comms) as Box<dyn std::any::Any + Send>)
        });
        connected.collect()
    }
}

/// For each process its connections to all others; none to itself.
fn connections(processes: usize) -> Vec<Vec<Option<TcpStream>>> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let mut all: Vec<Vec<Option<TcpStream>>> =
        (0..processes).map(|_| (0..processes).map(|_| None).collect()).collect();
    for (one, other) in (0..processes).flat_map(|one| (0..one).map(move |other| (one, other))) {
        let there = TcpStream::connect(address).expect("somebody listens");
        let here = listener.accept().expect("somebody connects").0;
        for socket in [&there, &here] {
            socket.set_nodelay(true).expect("it is connected");
        }
        (all[one][other], all[other][one]) = (Some(there), Some(here));
    }
    all
}
