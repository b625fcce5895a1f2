//! Data sets as streams of events.
//!
//! Reading order, which is the way of an event: `source` (Million Playlist Dataset slices and event
//! files, read as events), `generate` (made-up playlists of the same shape, for whoever has no data),
//! `publish` (events on their way to a file, to stdout, to a server), `cli`, which ties these to the
//! commands `segue replay` and `segue generate`, and `evaluate`, the command that measures recommendations.
//!
//! All but `evaluate` streams: no memory grows with the length of a data set, but for a set of eight-byte ids of
//! the tracks described.

#![forbid(unsafe_code)]

pub mod cli;
mod dice;
pub mod evaluate;
pub mod generate;
pub mod publish;
pub mod source;
