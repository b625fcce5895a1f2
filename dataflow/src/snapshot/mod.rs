//! Snapshots: a consistent copy of the state at one epoch, and a state that goes on from one.
//!
//! A [`Snapshot`] is read while the workers go on: all of the state, or what has changed since the snapshot
//! before. A [`Restored`] is put together from such copies, for any number of workers. How they are stored
//! is not known here.

mod ranks;
mod restored;
mod taken;

pub(crate) use restored::Share;
pub use restored::{GraphRows, Malformed, Playlists, Restored, Tracks};
pub use taken::Snapshot;
