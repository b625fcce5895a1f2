//! The manifest: which objects are the state as-of one epoch.
//!
//! Invariant: it is read as it was written, byte for byte, or not at all. It has a hash of itself, and is written
//! in one way only.

use jiff::Timestamp;
use segue_dataflow::settings::RowRules;
use serde::{Deserialize, Serialize};

use super::Error;
use super::write::hash;
use crate::log::Landmark;

/// Version of manifests, and of the tables that they list. Version 4 was the same without rows of the graph, version 3
/// without days of additions as well, version 2 without images as well, version 1 without a hash of itself too.
pub const FORMAT: u64 = 5;

/// The state as-of one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u64,
    /// As-of this epoch.
    pub epoch: u64,
    /// Of the server that wrote it.
    pub generation: u64,
    /// When.
    pub created_at: Timestamp,
    /// By partition of the log, the offset of the first event that is not included.
    pub next: Vec<u64>,
    /// What the log is known by, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Landmark>,
    /// Playlists there are.
    pub playlists: u64,
    /// Entries in them.
    pub entries: u64,
    /// Of those entries, 32 hex digits.
    pub digest: String,
    /// The latest days of events that added something, as days since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newest_days: Vec<u16>,
    /// If the last layer has the rows of the graph: what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<RowRules>,
    /// The first one whole, each later one the changes since the one before: its rows replace those with the
    /// same id.
    pub layers: Vec<Layer>,
    /// Of this manifest without this field, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What one snapshot wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// As-of this epoch.
    pub epoch: u64,
    /// Playlists come in the order of their ids over all objects, and so do entries and tracks.
    pub objects: Vec<Object>,
}

/// A Parquet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// What is in it.
    pub table: TableName,
    /// Where it is, under the prefix.
    pub path: String,
    /// How many rows.
    pub rows: u64,
    /// How long.
    pub bytes: u64,
    /// Of its bytes, 64 hex digits.
    pub sha256: String,
    /// The same in a form that is faster to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}

/// A warm image of a Parquet file. It saves time and nothing else: without it, the file is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What it depends on: where that is not so, it is not read.
    pub stamp: String,
    /// Where it is, under the prefix.
    pub path: String,
    /// How long.
    pub bytes: u64,
    /// Of its bytes, 64 hex digits.
    pub sha256: String,
}

/// The tables of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableName {
    /// Playlists without their tracks.
    Playlists,
    /// Which track is in which playlist.
    Entries,
    /// Tracks with all their names.
    Tracks,
    /// When entries were added, those of the last days.
    Additions,
    /// Which tracks share most playlists with which: the rows of the graph as-of the epoch of their layer, all of
    /// them. They are of use only in the last.
    Neighbours,
}

impl TableName {
    /// As it stands in manifests and paths.
    pub fn as_str(self) -> &'static str {
        match self {
            TableName::Playlists => "playlists",
            TableName::Entries => "entries",
            TableName::Tracks => "tracks",
            TableName::Additions => "additions",
            TableName::Neighbours => "neighbours",
        }
    }
}

impl Layer {
    /// The same below a later one: the rows of the graph, which are all there or none, are that one's.
    pub(super) fn without_graph(&self) -> Self {
        let objects = self.objects.iter().filter(|object| object.table != TableName::Neighbours);
        Layer { epoch: self.epoch, objects: objects.cloned().collect() }
    }
}

impl Manifest {
    /// Reads a manifest of this version.
    pub(super) fn parse(object: &str, bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            format: u64,
        }
        let Version { format } = serde_json::from_slice(bytes).map_err(|e| Error::corrupt(object, &e))?;
        if !(1..=FORMAT).contains(&format) {
            return Err(Error::Format { object: object.to_owned(), found: format });
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|e| Error::corrupt(object, &e))?;
        // Not even a version that a damaged byte made an older one lets a hash pass that is not right.
        let is_as_written = match &manifest.sha256 {
            None => format == 1,
            Some(_) => manifest.clone().sealed().to_bytes() == bytes,
        };
        match is_as_written {
            true => Ok(manifest),
            false => Err(Error::corrupt(object, &"it is not as its own SHA-256 says")),
        }
    }

    /// With the hash of itself.
    pub(super) fn sealed(mut self) -> Self {
        self.sha256 = None;
        self.sha256 = Some(hash(&self.to_bytes()));
        self
    }

    /// Its bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Plain structs: this cannot fail.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// All objects that it needs.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.layers.iter().flat_map(|layer| &layer.objects)
    }

    /// Where everything is that it names.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.objects().flat_map(|object| {
            std::iter::once(&*object.path).chain(object.image.as_ref().map(|image| &*image.path))
        })
    }

    /// Bytes of all objects that it needs.
    pub fn bytes(&self) -> u64 {
        self.objects().map(|object| object.bytes).sum()
    }
}
