//! HTTP to the real binary.
#![allow(clippy::unwrap_used, reason = "clippy does not see helpers of tests as tests")]
#![allow(
    clippy::duplicate_mod,
    reason = "broker, minio and redis, of another crate, each bring their services"
)]

mod away;
mod breaker;
#[path = "../../../connectors/tests/broker/mod.rs"]
mod broker;
mod changes;
mod collisions;
mod crashes;
mod damaged;
mod dead_letters;
mod evaluate;
mod events;
mod front;
mod graph;
mod harness;
mod hour;
mod interrupt;
mod kafka;
mod kills;
mod memory;
#[path = "../../../connectors/tests/minio/mod.rs"]
mod minio;
mod prequential;
mod readme;
mod real_data;
mod redis;
#[path = "../../../connectors/tests/redis/server.rs"]
mod redis_server;
mod replays;
mod routes;
mod schema;
mod snapshots;
mod starting;
mod states;
mod steps;
mod stopping;
mod twin;
mod workers;
