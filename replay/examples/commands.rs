//! The two commands of this crate without the `segue` binary, for measuring them alone.
//!
//! `cargo run --release -p segue-replay --example commands -- generate --playlists 100000 --out DIR`

use std::sync::atomic::AtomicBool;

use clap::Parser;
use segue_replay::cli::{GenerateArgs, ReplayArgs};

#[derive(Parser)]
enum Command {
    Replay(ReplayArgs),
    Generate(GenerateArgs),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let never = AtomicBool::new(false);
    match Command::parse() {
        Command::Replay(args) => println!("{}", serde_json::to_string(&args.run(&never)?)?),
        Command::Generate(args) => println!("{}", serde_json::to_string(&args.run(&never)?)?),
    }
    Ok(())
}
