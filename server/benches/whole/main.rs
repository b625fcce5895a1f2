//! The whole of segue, measured beside its references in one run: `make bench`.
//!
//! For each size: generated slices on disk are read alone and into the engine ([`load`]); questions are
//! answered by the engine and by static arrays ([`questions`], [`asker`], [`csr`]), on one process and on two ([`processes`]), and the graph is built and kept ([`graph`]); then the real server takes the same
//! files and is watched from outside ([`server`], [`snapshots`], [`kafka`], [`redis`]). [`graph`] is what the graph costs.
//! [`table`] makes a page of it.

mod asker;
mod corpus;
mod csr;
mod graph;
mod kafka;
mod load;
mod processes;
mod questions;
mod redis;
mod server;
#[path = "../../../connectors/tests/services/mod.rs"]
mod services;
mod snapshots;
mod table;
mod watch;

use std::path::PathBuf;

use clap::Parser;
use table::Table;

/// As in the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The engine alone, beside its references.
    Engine,
    /// The server on its own log.
    Server,
    /// The engine over two processes.
    Processes,
    /// The graph of co-occurrence: how it is built and kept.
    Graph,
    /// What snapshots cost and save.
    Snapshots,
    /// The server behind Kafka.
    Kafka,
    /// What the copy in Redis costs.
    Redis,
}

/// Measures segue as a whole, beside its references.
#[derive(Parser)]
struct Args {
    /// Generated playlists, one run for each.
    #[arg(long, value_delimiter = ',', default_value = "100000,300000")]
    playlists: Vec<u64>,
    /// Where the generated files and the server's data go; 35 kB a playlist, removed afterwards.
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// Only these.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "engine,processes,graph,server,snapshots,kafka,redis"
    )]
    only: Vec<Part>,
    /// Also write the page to this file.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Is the other of two processes that listen there.
    #[arg(long, hide = true, value_delimiter = ',')]
    member: Option<Vec<String>>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(addresses) = args.member {
        return processes::member(addresses);
    }
    let scratch = tempfile::tempdir_in(args.scratch.unwrap_or_else(std::env::temp_dir))?;
    let mut table = Table::new();
    for playlists in args.playlists {
        table.size(playlists);
        let corpus = corpus::Corpus::generate(&scratch.path().join(playlists.to_string()), playlists)?;
        let wanted = |part| args.only.contains(&part);
        if wanted(Part::Engine) {
            let loaded = load::load(&corpus, &mut table)?;
            questions::measure(&corpus, &loaded, "", 1.5, &mut table)?;
            questions::scoring(&corpus, &loaded, &mut table)?;
            loaded.engine.stop().map_err(anyhow::Error::msg)?;
        }
        if wanted(Part::Processes) {
            processes::measure(&corpus, &mut table)?;
        }
        if wanted(Part::Graph) {
            graph::measure(&corpus, &mut table)?;
        }
        if wanted(Part::Server) || wanted(Part::Snapshots) {
            let folder = tempfile::tempdir_in(scratch.path())?;
            let server = server::replayed(&corpus, folder.path(), &mut table)?;
            if wanted(Part::Server) {
                server::measure(&corpus, server, folder.path(), &mut table)?;
            } else {
                drop(server);
            }
            if wanted(Part::Snapshots) {
                snapshots::measure(folder.path(), corpus.playlists, &mut table)?;
            }
        }
        if wanted(Part::Kafka) {
            kafka::measure(&corpus, scratch.path(), &mut table)?;
        }
        if wanted(Part::Redis) {
            redis::measure(&corpus, scratch.path(), &mut table)?;
        }
        corpus.remove()?;
    }
    if let Some(path) = args.write {
        std::fs::write(path, table.page())?;
    }
    Ok(())
}
