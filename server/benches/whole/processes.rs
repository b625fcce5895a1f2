//! The same questions and the same graph over two processes, with one worker each.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use segue_dataflow::settings::Settings;
use segue_dataflow::workers::{Answers, Cluster, Engine, Observer, Options};

use crate::corpus::Corpus;
use crate::load::{Loaded, feed, options};
use crate::questions;
use crate::table::Table;
use crate::watch::Watch;

const PROCESSES: usize = 2;

/// The other process; ended with this one.
struct Member(Child);

impl Drop for Member {
    fn drop(&mut self) {
        // Its input has ended with this; both fail only if it has ended already.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn join(process: usize, addresses: Vec<String>, observer: Arc<dyn Observer>) -> anyhow::Result<Engine> {
    let (options, clock) = options(Settings::default());
    let options = Options { workers: 1, answers: Answers::Workers, ..options };
    Engine::join(Cluster { process, addresses }, options, clock, observer, None).map_err(anyhow::Error::msg)
}

/// Is the other process until its input ends.
pub fn member(addresses: Vec<String>) -> anyhow::Result<()> {
    let engine = join(1, addresses, Arc::new(Watch::default()))?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    engine.stop().map_err(anyhow::Error::msg)
}

pub fn measure(corpus: &Corpus, table: &mut Table) -> anyhow::Result<()> {
    let free = (0..PROCESSES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let addresses = free.iter().map(|free| Ok(free.local_addr()?.to_string()));
    let addresses: Vec<String> = addresses.collect::<anyhow::Result<_>>()?;
    drop(free);
    let command = ["--member", &addresses.join(",")];
    let member = Command::new(std::env::current_exe()?).args(command).stdin(Stdio::piped()).spawn()?;
    let member = Member(member);
    let watch = Arc::new(Watch::default());
    let engine = join(0, addresses, Arc::clone(&watch) as _)?;
    let next = feed(corpus, &engine)?;
    let as_of = watch.wait(|seen| seen.next < next).as_of;
    drop(watch.wait(|seen| seen.graph < as_of));
    let loaded = Loaded { engine, next, watch };
    questions::measure(corpus, &loaded, "over two processes: ", 2.5, table)?;
    loaded.engine.stop().map_err(anyhow::Error::msg)?;
    drop(member);
    Ok(())
}
