//! The `segue` binary. Reading order: [`cli`] and [`config`] (what it is told), [`serve`] (from start to
//! stop), [`service`] ([`snapshots`], log, [`pump`], engine, [`breaker`], [`letterbox`], [`prequential`],
//! [`feed`], [`push`], [`charts`]), [`intake`] (how events get in), [`http`] (the REST API), [`admin`] (health and
//! metrics), [`demo`], [`dead_letters`].

#![forbid(unsafe_code)]

mod admin;
mod breaker;
mod charts;
mod cli;
mod clock;
mod config;
mod dead_letters;
mod demo;
mod feed;
mod health;
mod http;
mod intake;
mod letterbox;
mod metrics;
mod panics;
mod prequential;
mod pump;
mod push;
mod quiet;
mod serve;
mod service;
mod snapshots;
mod token;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Parser;
use cli::{
    Cli, Command, ConfigCommand, DeadLettersCommand, DeadLettersSubcommand, EvaluateCommand, LogFormat,
    SnapshotCommand,
};
use config::Config;
use demo::DemoArgs;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Done.
const DONE: u8 = 0;
/// Failed.
const FAILED: u8 = 1;
/// Wrong use, as clap says it.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    let _steps = fail::FailScenario::setup();
    let cli = Cli::parse();
    logging(cli.log_format);
    panics::end_the_process();
    match run(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("segue: {error:#}");
            let wrong_use = error.downcast_ref::<config::Error>().is_some()
                || error.downcast_ref::<segue_replay::cli::ReplayError>().is_some_and(|e| e.is_wrong_use())
                || error
                    .downcast_ref::<segue_replay::evaluate::EvaluateError>()
                    .is_some_and(|e| e.is_wrong_use());
            ExitCode::from(if wrong_use { WRONG_USE } else { FAILED })
        }
    }
}

fn run(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Serve(args) => {
            let config = args.load()?;
            runtime()?.block_on(async move {
                let running = serve::start(config, args.ready_file.as_deref()).await?;
                running.until_stopped().await?;
                Ok(DONE)
            })
        }
        Command::Demo(args) => runtime()?.block_on(demonstrate(args)),
        Command::Replay(args) => {
            let outcome = args.run(&*interrupted()?)?;
            if args.json {
                print(&serde_json::to_string(&outcome)?)?;
            }
            Ok(if outcome.is_done() { DONE } else { FAILED })
        }
        Command::Generate(args) => {
            let written = args.run(&*interrupted()?)?;
            if args.json {
                print(&serde_json::to_string(&written)?)?;
            }
            Ok(if written.interrupted { FAILED } else { DONE })
        }
        Command::Evaluate(EvaluateCommand { args, source }) => {
            let report = args.run(source.load(Vec::new())?.0.settings())?;
            print(&if args.json { serde_json::to_string(&report)? } else { report.to_string() })?;
            Ok(DONE)
        }
        Command::DeadLetters(DeadLettersCommand { command, bare }) => {
            let done = match command.unwrap_or(DeadLettersSubcommand::List(bare)) {
                DeadLettersSubcommand::List(args) => dead_letters::list(&args).map(|()| true),
                DeadLettersSubcommand::Show(args) => dead_letters::show(&args).map(|()| true),
                DeadLettersSubcommand::Redrive(args) => dead_letters::redrive(&args),
            };
            Ok(if done? { DONE } else { FAILED })
        }
        Command::Snapshot(command) => {
            let runtime = runtime()?;
            let _inside = runtime.enter();
            let done = match command {
                SnapshotCommand::Create(args) => snapshots::commands::create(&args).map(|()| true),
                SnapshotCommand::List(args) => snapshots::commands::list(&args).map(|()| true),
                SnapshotCommand::Verify(args) => snapshots::commands::verify(&args),
                SnapshotCommand::Export(args) => snapshots::commands::export(&args).map(|()| true),
            };
            Ok(if done? { DONE } else { FAILED })
        }
        Command::Config(ConfigCommand::Check(args)) => {
            args.load(Vec::new())?;
            print("the configuration can be used")?;
            Ok(DONE)
        }
        Command::Config(ConfigCommand::Schema) => {
            print(&format!("{:#}", config::schema()))?;
            Ok(DONE)
        }
        Command::Config(ConfigCommand::Show(args)) => {
            for (key, value, origin) in args.source.load(Vec::new())?.1 {
                let value = config::shown(&key, &value);
                print(&match args.json {
                    true => serde_json::json!({"key": key, "value": value, "origin": origin}).to_string(),
                    false => format!("{key} = {value}  # {origin}"),
                })?;
            }
            Ok(DONE)
        }
    }
}

/// Serves, loads, says what to try, keeps edits coming.
async fn demonstrate(args: DemoArgs) -> anyhow::Result<u8> {
    // Removed with all that is in it at the end.
    let temporary = if args.data_dir.is_none() { Some(tempfile::tempdir()?) } else { None };
    let mut config = Config::default();
    let folder = args.data_dir.clone().or_else(|| temporary.as_ref().map(|dir| dir.path().to_owned()));
    config.server.data_dir = folder.context("no folder for the data")?;
    config.server.bind.set_port(args.port);
    config.server.admin_bind.set_port(if args.port == 0 { 0 } else { args.port.saturating_add(1) });
    let running = serve::start(config, args.ready_file.as_deref()).await?;
    eprintln!(
        "loading {}",
        args.from
            .as_ref()
            .map_or(format!("{} made-up playlists", args.playlists), |p| p.display().to_string())
    );
    let running = Arc::new(running);
    let (loading, load) = (Arc::clone(&running), args.clone());
    let outcome = tokio::task::spawn_blocking(move || demo::load(&load, &loading)).await??;
    if !outcome.interrupted {
        eprintln!("\nopen http://{}/ or try:\n", running.api);
        for line in demo::to_try(&running).await {
            eprintln!("  {line}");
        }
        eprintln!();
    }
    let (service, stop) = (Arc::clone(&running.service), Arc::clone(&running.interrupted));
    if args.edits > 0.0 && args.from.is_none() && !outcome.interrupted {
        tokio::task::spawn_blocking(move || {
            if let Err(error) = demo::trickle(&args, &service, &stop) {
                tracing::warn!("no more edits: {error:#}");
            }
        });
    }
    let running = Arc::into_inner(running).context("the demo is still loading")?;
    running.until_stopped().await?;
    Ok(DONE)
}

/// To standard output; an error there (a closed pipe, a full disk) is one of the command.
fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("writing to standard output")
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the runtime")
}

/// Set by SIGINT or SIGTERM, for commands that look at it between two steps.
fn interrupted() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    ctrlc::set_handler(move || set.store(true, Ordering::SeqCst)).context("setting up signals")?;
    Ok(flag)
}

fn logging(format: LogFormat) {
    let filter = EnvFilter::try_from_env("SEGUE_LOG").or_else(|_| EnvFilter::try_from_default_env());
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info,fjall=warn,lsm_tree=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Either fails only if a logger is there already, and then that one is used.
    let _ = match format {
        LogFormat::Text => {
            let builder = builder.with_ansi(std::io::stderr().is_terminal()).with_target(false);
            builder.finish().with(quiet::Quiet).try_init()
        }
        LogFormat::Json => builder.json().finish().with(quiet::Quiet).try_init(),
    };
}
