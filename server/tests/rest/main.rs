//! HTTP to the real binary.
#![allow(clippy::unwrap_used, reason = "clippy does not see helpers of tests as tests")]

mod crashes;
mod events;
mod harness;
mod readme;
mod real_data;
mod routes;
mod starting;
mod states;
mod twin;
