//! Snapshots in an object store: S3, MinIO or a folder.
//!
//! Under one prefix: `data/<epoch>-<generation>/*.parquet` are written first and never changed, then
//! `manifests/<epoch>.json`, created only if there is none, says which of them are the state. A snapshot is
//! whole, or the changes on top of the one before: its manifest lists all layers that it needs, so reading it
//! reads no other manifest. `generations/<n>.json` tells which server writes: the newest alone may.
//!
//! All calls block; they must not come from a thread of the runtime.

mod columns;
mod faulty;
mod generation;
mod load;
mod manifest;
mod retention;
mod schema;
mod settings;
mod store;
mod table;
mod warm_image;
mod write;

use std::fmt::Display;
use std::path::PathBuf;

pub use faulty::{Fault, Faulty};
pub use manifest::{FORMAT, Image, Layer, Manifest, Object, TableName};
use segue_dataflow::snapshot::Malformed;
pub use settings::Settings;
pub use store::Store;

/// Why a snapshot was not written, found or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings lead to no store.
    #[error("snapshots.url {url:?}: {detail}")]
    Settings {
        /// What was given.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The local folder cannot be made.
    #[error("folder of snapshots {path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store did not do what it was asked: try again later.
    #[error("object store: {what}: {}", root(cause))]
    Store {
        /// What was asked.
        what: String,
        /// What it said.
        cause: object_store::Error,
    },
    /// Another server writes here since: this one must stop.
    #[error(
        "generation {newer} has taken over these snapshots, this server is generation {own}: two servers \
         write to one prefix. Stop one of them, or give each a prefix of its own"
    )]
    Fenced {
        /// That of this server.
        own: u64,
        /// The newest.
        newer: u64,
    },
    /// The manifest of this epoch is there already, and another's.
    #[error("manifest {path} is there already and says something else")]
    Taken {
        /// Where.
        path: String,
    },
    /// An object is not what its manifest says, or no snapshot can be like this.
    #[error("{object}: {detail}")]
    Corrupt {
        /// Which.
        object: String,
        /// What was found.
        detail: String,
    },
    /// A version of the format that is not known here.
    #[error("{object} has format version {found}, this segue reads {FORMAT}: use the segue that wrote it")]
    Format {
        /// Which manifest.
        object: String,
        /// Its version.
        found: u64,
    },
    /// There is no such snapshot.
    #[error("there is no snapshot of epoch {0}")]
    Unknown(u64),
}

/// What is at the bottom of it: what stands around that says the same again and again.
fn root(error: &object_store::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

impl Error {
    fn corrupt(object: &str, detail: &dyn Display) -> Self {
        Error::Corrupt { object: object.to_owned(), detail: detail.to_string() }
    }

    fn store(what: impl Into<String>) -> impl FnOnce(object_store::Error) -> Self {
        let what = what.into();
        move |cause| Error::Store { what, cause }
    }

    /// Whether another snapshot may well be in order.
    pub fn is_about_one_snapshot(&self) -> bool {
        matches!(self, Error::Corrupt { .. } | Error::Format { .. })
    }
}

impl From<(&str, Malformed)> for Error {
    fn from((object, malformed): (&str, Malformed)) -> Self {
        Error::corrupt(object, &malformed)
    }
}
