//! The engine from outside: random histories against a twin, compaction, threads, refusals.

mod compaction;
mod history;
mod random_histories;
mod refusals;
mod twin;
mod workers;
