//! What the copy in Redis costs: events beside it and without, in turns, and what goes to Redis meanwhile.

use std::path::Path;
use std::time::Instant;

use crate::corpus::Corpus;
use crate::server::{EVENTS, Seen, Server, patiently};
use crate::services::Service;
use crate::table::{Table, ms, quantile};

/// Each of them without, then with.
const ROUNDS: u64 = 3;

/// What the server has counted.
#[derive(Clone, Copy)]
struct Counted {
    changed: f64,
    rows: f64,
    same: f64,
    commands: f64,
    bytes: f64,
}

impl Counted {
    fn now(server: &Server) -> anyhow::Result<Self> {
        Ok(Counted {
            changed: server.metric("segue_graph_changed_rows_total")?,
            rows: server.metric("segue_redis_rows_total")?,
            same: server.metric("segue_redis_same_total")?,
            commands: server.metric("segue_redis_commands_total")?,
            bytes: server.metric("segue_redis_bytes_total")?,
        })
    }
}

pub fn measure(corpus: &Corpus, scratch: &Path, table: &mut Table) -> anyhow::Result<()> {
    let redis = Service::start("redis");
    let (url, folder) = (redis.var("REDIS_URL"), tempfile::tempdir_in(scratch)?);
    let common = [("SEGUE__SNAPSHOTS__EVERY", "24h"), ("SEGUE__SNAPSHOTS__EVERY_EVENTS", "1000000000")];
    let with = [common[0], common[1], ("SEGUE__REDIS__URL", &*url)];
    let server = Server::start(folder.path(), &common)?;
    server.replay(corpus)?;
    server.take_snapshot()?;
    drop(server);

    let (mut seconds, mut processor) = ([Vec::new(), Vec::new()], [0.0; 2]);
    for round in 0..ROUNDS {
        for (pushes, variables) in [&common[..], &with[..]].into_iter().enumerate() {
            let server = Server::start(folder.path(), variables)?;
            patiently("the graph", || Ok((server.metric("segue_graph_lag_seconds")? < 1.0).then_some(())))?;
            if pushes == 1 {
                filled(&server)?;
            }
            let before = Counted::now(&server)?;
            let seen = server.seen(corpus, EVENTS * (2 * round + pushes as u64))?;
            let lag = server.metric("segue_graph_epoch")? - server.metric("segue_redis_epoch")?;
            let now = Counted::now(&server)?;
            processor[pushes] += seen.processor / ROUNDS as f64;
            seconds[pushes].extend_from_slice(&seen.seconds);
            if pushes == 1 && round + 1 == ROUNDS {
                costs(before, now, &seen, lag, table);
                refill(&server, &redis, table)?;
            }
        }
    }
    let [without, beside] = seconds.map(|all| [0.5, 0.9, 0.99].map(|share| quantile(&all, share)));
    table.ratio("event sent → visible beside the copy in Redis, p99", beside[2], without[2], 1.05, ms);
    table.note(&format!(
        "p50 {} to {}, p90 {} to {}; the server {:.0} to {:.0} % of a core",
        ms(beside[0]),
        ms(without[0]),
        ms(beside[1]),
        ms(without[1]),
        processor[1] * 100.0,
        processor[0] * 100.0,
    ));
    Ok(())
}

/// Waits until all rows are there.
fn filled(server: &Server) -> anyhow::Result<()> {
    patiently("all rows in Redis", || {
        let known = server.metric("segue_redis_epoch")? > 0.0;
        Ok((known && server.metric("segue_redis_pending_rows")? == 0.0).then_some(()))
    })
}

fn costs(before: Counted, now: Counted, seen: &Seen, lag_ms: f64, table: &mut Table) {
    let rate = |of: fn(Counted) -> f64| (of(now) - of(before)) / seen.took;
    let what = "rows that change at 2,000 events/s, a second";
    table.row(what, format!("{:.0}", rate(|all| all.changed)), "", "");
    table.note(&format!(
        "to Redis {:.0} rows, {:.0} more were the same there, {:.0} commands, {:.1} MB a second; keys behind rows by {lag_ms:.0} ms at the end",
        rate(|all| all.rows),
        rate(|all| all.same),
        rate(|all| all.commands),
        rate(|all| all.bytes) / 1e6,
    ));
}

/// Flushes it; how long until all rows are there again.
fn refill(server: &Server, redis: &Service, table: &mut Table) -> anyhow::Result<()> {
    filled(server)?;
    let (sweeps, before) = (server.metric("segue_redis_sweeps_total")?, Counted::now(server)?);
    let began = Instant::now();
    let flushed = std::process::Command::new("redis-cli")
        .args(["-u", &redis.var("REDIS_URL"), "FLUSHALL"])
        .stdout(std::process::Stdio::null())
        .status()?;
    anyhow::ensure!(flushed.success(), "redis-cli failed");
    patiently("a sweep", || Ok((server.metric("segue_redis_sweeps_total")? > sweeps).then_some(())))?;
    filled(server)?;
    let (took, now) = (began.elapsed(), Counted::now(server)?);
    table.seconds("Redis flushed → all rows there again", took.as_secs_f64());
    let (rows, bytes) = (now.rows - before.rows, server.metric("segue_redis_held_bytes")?);
    table.note(&format!("{rows:.0} rows set, {:.1} MB of keys and values", bytes / 1e6));
    Ok(())
}
