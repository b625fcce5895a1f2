//! The store as the rest of this folder sees it: whole objects under one prefix, blocking.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::{Path, PathPart};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::Handle;

use super::{Error, Manifest, Settings};

/// Digits of an epoch or generation in a name, so that names are in their order.
const DIGITS: usize = 20;

/// A place for snapshots.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    runtime: Handle,
    /// The generation that writes; none if this only reads.
    pub(super) generation: Option<u64>,
    /// Whether images are written, and read.
    pub(super) images: bool,
}

impl Store {
    /// The store that the settings name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// If they name none, or a folder that cannot be made.
    pub fn open(settings: &Settings, runtime: Handle) -> Result<Self, Error> {
        let (objects, prefix) = settings.open(true)?;
        Ok(Store { images: settings.images, ..Store::on(objects, prefix, runtime) })
    }

    /// The same, to read only: a folder that is not there is not made.
    ///
    /// # Errors
    /// If they name none.
    pub fn look(settings: &Settings, runtime: Handle) -> Result<Self, Error> {
        let (objects, prefix) = settings.open(false)?;
        Ok(Store { images: settings.images, ..Store::on(objects, prefix, runtime) })
    }

    /// On any object store.
    pub fn on(objects: Arc<dyn ObjectStore>, prefix: Path, runtime: Handle) -> Self {
        Store { objects, prefix, runtime, generation: None, images: false }
    }

    /// The same, of which only files are read and written.
    pub(super) fn without_images(&self) -> Self {
        Store { images: false, ..self.clone() }
    }

    /// The name of something with a number.
    pub(super) fn name(folder: &str, number: u64) -> String {
        format!("{folder}/{number:0DIGITS$}.json")
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(PathPart::from(part)))
    }

    /// The object with this name.
    pub(super) fn get(&self, name: &str) -> Result<Bytes, object_store::Error> {
        let path = self.path(name);
        self.runtime.block_on(async { self.objects.get(&path).await?.bytes().await })
    }

    /// Writes an object of which there is one writer only.
    pub(super) fn put(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        let (path, what) = (self.path(name), format!("writing {name}"));
        let put = self.objects.put(&path, PutPayload::from_bytes(bytes));
        self.runtime.block_on(put).map(drop).map_err(Error::store(what))
    }

    /// Creates an object, and tells whether it is there now with these bytes: false if another's is. The
    /// answer to a create may be lost, and what tried it again finds its own.
    pub(super) fn create(&self, name: &str, bytes: &Bytes) -> Result<bool, Error> {
        let options = PutOptions::from(PutMode::Create);
        let (path, payload) = (self.path(name), PutPayload::from_bytes(bytes.clone()));
        match self.runtime.block_on(self.objects.put_opts(&path, payload, options)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                let there = self.get(name).map_err(Error::store(format!("reading {name} back")))?;
                Ok(there == *bytes)
            }
            Err(error) => match self.get(name) {
                Ok(there) if there == *bytes => Ok(true),
                _ => Err(Error::store(format!("creating {name}"))(error)),
            },
        }
    }

    /// Removes an object; one that is gone already is fine.
    pub(super) fn delete(&self, name: &str) -> Result<(), Error> {
        match self.runtime.block_on(self.objects.delete(&self.path(name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::store(format!("deleting {name}"))(error)),
        }
    }

    /// The names under a folder, in order.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        let path = self.path(folder);
        let all = self.objects.list(Some(&path)).try_collect::<Vec<_>>();
        let all = self.runtime.block_on(all).map_err(Error::store(format!("listing {folder}")))?;
        let name = |location: &Path| {
            let parts: Vec<_> =
                location.prefix_match(&self.prefix)?.map(|part| part.as_ref().to_owned()).collect();
            Some(parts.join("/"))
        };
        let mut names: Vec<String> = all.iter().filter_map(|object| name(&object.location)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The numbers of what is in a folder, ascending.
    pub(super) fn numbers(&self, folder: &str) -> Result<Vec<u64>, Error> {
        let number =
            |name: String| name.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".json")?.parse().ok();
        Ok(self.list(folder)?.into_iter().filter_map(number).collect())
    }

    /// The epochs of all snapshots, the newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn epochs(&self) -> Result<Vec<u64>, Error> {
        let mut epochs = self.numbers("manifests")?;
        epochs.reverse();
        Ok(epochs)
    }

    /// The manifest of one of them.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`], [`Error::Corrupt`], [`Error::Format`].
    pub fn manifest(&self, epoch: u64) -> Result<Manifest, Error> {
        let name = Store::name("manifests", epoch);
        let bytes = self.get(&name).map_err(|error| match error {
            object_store::Error::NotFound { .. } => Error::Unknown(epoch),
            error => Error::store(format!("reading {name}"))(error),
        })?;
        let manifest = Manifest::parse(&name, &bytes)?;
        match manifest.epoch == epoch && !manifest.layers.is_empty() {
            true => Ok(manifest),
            false => Err(Error::corrupt(&name, &"it has another epoch in it, or no layers")),
        }
    }
}
