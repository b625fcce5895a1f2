//! The log on a real broker, which `scripts/services` starts once for all tests here; each has its own topic.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but clippy does not see that all of this file is one"
)]

#[path = "../broker/mod.rs"]
mod broker;
mod contract;
mod crash;
mod ending;
mod foreign;
mod harness;
mod memory;
mod missing;
mod opening;
#[path = "../suite/mod.rs"]
mod suite;
