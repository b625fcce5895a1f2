//! Snapshots of the real server: how long, how large, what they cost who asks meanwhile, and what they save.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use crate::asker::until;
use crate::server::Server;
use crate::services::Service;
use crate::table::{Table, ms, quantile};

const QUESTIONS_PER_S: f64 = 100.0;
const QUIET: Duration = Duration::from_secs(10);
/// Snapshots that are taken while questions are asked, so that there are enough of them.
const ROUNDS: usize = 3;

/// Asks for recommendations at the rate until told to stop; how long each took from when it was due.
fn ask(server: &Server, playlists: u64, stop: &AtomicBool) -> anyhow::Result<Vec<f64>> {
    let (began, mut took) = (Instant::now(), Vec::new());
    for n in 0_u32.. {
        let due = began + Duration::from_secs_f64(f64::from(n) / QUESTIONS_PER_S);
        until(due);
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let playlist = (u64::from(n) * 7_919) % playlists;
        server.json(&format!("/v1/playlists/mpd:playlist:{playlist}/recommendations"))?;
        took.push(due.elapsed().as_secs_f64());
    }
    Ok(took)
}

/// Asks while something is done.
fn beside<T>(
    server: &Server,
    playlists: u64,
    what: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<(T, Vec<f64>)> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(server, playlists, &stop));
        let done = what();
        stop.store(true, Ordering::SeqCst);
        let took = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((done?, took))
    })
}

/// On the folder of a server that has ended.
pub fn measure(folder: &Path, playlists: u64, table: &mut Table) -> anyhow::Result<()> {
    let ((), alone) = {
        let server = Server::start(folder, &[("SEGUE__SNAPSHOTS__URL", "off")])?;
        server.graph()?;
        beside(&server, playlists, || {
            until(Instant::now() + QUIET);
            Ok(())
        })?
    };
    let (mut meanwhile, mut seconds, mut taken) = (Vec::new(), Vec::new(), Value::Null);
    for _ in 0..ROUNDS {
        // The first of each server is whole. It has begun with something new to be told.
        let server = Server::start(folder, &[("SEGUE__SNAPSHOTS__EVERY", "1h")])?;
        server.event()?;
        server.graph()?;
        let (body, took) = beside(&server, playlists, || {
            let began = Instant::now();
            let body = server.take_snapshot()?;
            seconds.push(began.elapsed().as_secs_f64());
            Ok(body)
        })?;
        meanwhile.extend(took);
        taken = body;
    }
    let entries = taken["entries"].as_f64().context("entries")?;
    table.seconds("a whole snapshot to disk", quantile(&seconds, 0.5));
    let bytes = taken["bytes"].as_f64().context("bytes")?;
    table.bound("… with names, an entry", bytes / entries, 12.0, |bytes| format!("{bytes:.1} B"));
    table.ratio(
        "recommendation over HTTP while it is taken, p99",
        quantile(&meanwhile, 0.99),
        quantile(&alone, 0.99),
        2.0,
        ms,
    );
    table.note(&format!("p50 {} (without {})", ms(quantile(&meanwhile, 0.5)), ms(quantile(&alone, 0.5))));
    begin(folder, &[], "start to first answer, from a snapshot", entries, table)?;
    complete(folder, table)?;
    let images = [("SEGUE__SNAPSHOTS__WARM_IMAGE", "true"), ("SEGUE__SNAPSHOTS__EVERY", "1h")];
    let server = Server::start(folder, &images)?;
    server.event()?;
    server.take_snapshot()?;
    drop(server);
    begin(folder, &images, "start to first answer, from its warm image", entries, table)?;

    let minio = Service::start("minio");
    let names = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ALLOW_HTTP"];
    let values = names.map(|name| minio.var(name));
    let url = format!("s3://{}/bench", minio.var("MINIO_BUCKET"));
    let mut variables: Vec<(&str, &str)> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
    variables.extend([("SEGUE__SNAPSHOTS__URL", &*url), ("SEGUE__SNAPSHOTS__EVERY", "1h")]);
    let server = Server::start(folder, &variables)?;
    server.event()?;
    let began = Instant::now();
    server.take_snapshot()?;
    table.seconds("a whole snapshot to MinIO", began.elapsed().as_secs_f64());
    drop(server);
    begin(folder, &variables, "start to first answer, from a snapshot in MinIO", entries, table)
}

/// How long until the graph has all that the snapshot has, with the rows in it and without: a server with other rules
/// counts its own.
fn complete(folder: &Path, table: &mut Table) -> anyhow::Result<()> {
    let once = ("SEGUE__SNAPSHOTS__EVERY", "1h");
    let server = Server::start(folder, &[once])?;
    server.event()?;
    server.graph()?;
    let taken = server.take_snapshot()?;
    anyhow::ensure!(!taken["graph"].is_null(), "a snapshot without rows: {taken}");
    drop(server);
    let settings = [("from its snapshot", "50"), ("counted anew", "51")];
    for (what, support) in settings {
        let began = Instant::now();
        let server = Server::start(folder, &[once, ("SEGUE__NEIGHBOURS__MIN_SUPPORT", support)])?;
        server.graph()?;
        table.seconds(&format!("start to a complete graph, rows {what}"), began.elapsed().as_secs_f64());
        let rows = server.metric("segue_graph_rows")?;
        let counted = server.metric("segue_graph_recounts_total")?;
        table.note(&format!("{rows} rows, {counted} counted anew"));
    }
    Ok(())
}

/// Starts a server and asks it something.
fn begin(
    folder: &Path,
    variables: &[(&str, &str)],
    what: &str,
    entries: f64,
    table: &mut Table,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let server = Server::start(folder, variables)?;
    server.json("/v1/playlists/mpd:playlist:0/recommendations")?;
    table.seconds(what, began.elapsed().as_secs_f64());
    table.note(&format!("{:.1} B an entry resident", server.resident_bytes()? / entries));
    Ok(())
}
