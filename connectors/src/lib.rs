//! The outside world of segue: where events come from and where they are kept.
//!
//! Reading order: [`log`] is the trait that everything else is about; `ends` is the part of its contract
//! that every log of this crate shares (where each partition ends, and waiting for more); [`memory`] is
//! the shortest log; [`embedded`] is the one on disk; [`kafka`] is the one that others write to as well;
//! [`faulty`] breaks any of them on purpose; and [`dead_letters`] is a log of the records that were no events. [`snapshot`] keeps copies of the state in an
//! object store. [`redis`] holds a copy of rows and charts for others to read.
//!
//! Everything blocks: callers bring their own threads. The time of day is handed in.

pub mod dead_letters;
pub mod embedded;
mod ends;
pub mod faulty;
pub mod kafka;
pub mod log;
pub mod memory;
pub mod redis;
pub mod snapshot;
mod step;
