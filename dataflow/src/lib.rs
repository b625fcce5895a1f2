//! The engine: playlist events in, answers out, every view up to date change by change.
//!
//! Reading order, which is the way of an event: `ids` (hashed names of things), `event` (what arrives
//! on the log), then the engine that keeps the views and answers queries from them.
//!
//! This crate does no I/O and knows no clock: bytes and time are handed in.

pub mod event;
pub mod ids;
