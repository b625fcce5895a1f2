//! The engine from outside: random histories against a twin, compaction, threads, refusals,
//! snapshots.

mod compaction;
mod graph;
mod history;
mod huge;
mod many_seeds;
mod one_artist;
mod pins;
mod plain;
mod random_histories;
mod refusals;
mod seen;
mod snapshots;
mod spread;
mod twin;
mod workers;
