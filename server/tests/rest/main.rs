//! HTTP to the real binary.
#![allow(clippy::unwrap_used, reason = "clippy does not see helpers of tests as tests")]

mod breaker;
#[path = "../../../connectors/tests/broker/mod.rs"]
mod broker;
mod crashes;
mod dead_letters;
mod events;
mod harness;
mod kafka;
#[path = "../../../connectors/tests/minio/mod.rs"]
mod minio;
mod readme;
mod real_data;
mod routes;
mod schema;
mod snapshots;
mod starting;
mod states;
mod steps;
mod stopping;
mod twin;
