//! What a server goes on from: the newest snapshot that is in order, else the one before it, else the log.

use std::path::Path;

use segue_connectors::log::Log;
use segue_connectors::snapshot::{Error, Manifest, Settings, Store};
use segue_dataflow::snapshot::Restored;
use tokio::runtime::Handle;
use url::Url;

use crate::config::{Config, Snapshots};
use crate::service::StartError;

/// Opens the store that the configuration names; none if it wants no snapshots.
///
/// # Errors
/// If there is no such store.
pub fn open(config: &Config) -> Result<Option<Store>, Error> {
    settings(config)?.map(|settings| Store::open(&settings, Handle::current())).transpose()
}

/// The same, to look at what there is: makes nothing.
///
/// # Errors
/// If there is no such store.
pub fn look(config: &Config) -> Result<Option<Store>, Error> {
    settings(config)?.map(|settings| Store::look(&settings, Handle::current())).transpose()
}

fn settings(config: &Config) -> Result<Option<Settings>, Error> {
    let Snapshots { url, retry, warm_image, .. } = &config.snapshots;
    let url = match url.as_str() {
        "off" => return Ok(None),
        "" => url_of(&config.server.data_dir.join("snapshots"))?,
        url => url.to_owned(),
    };
    Ok(Some(Settings { url, retry: retry.0, images: *warm_image, ..Settings::default() }))
}

/// The URL of a folder.
///
/// # Errors
/// If it has none.
pub fn url_of(folder: &Path) -> Result<String, Error> {
    let url = std::path::absolute(folder).ok().and_then(|folder| Url::from_directory_path(folder).ok());
    let wrong = || Error::Settings {
        url: folder.display().to_string(),
        detail: "the folder has no absolute path".into(),
    };
    url.map(String::from).ok_or_else(wrong)
}

/// Loads the newest snapshot that is in order and from this log. Those that are not are passed over, each with a
/// warning: what they would have brought is on the log, and if it is there no more, reading it says so.
///
/// # Errors
/// If the store does not answer, or the log is another one.
pub fn load(
    store: &Store,
    workers: usize,
    log: &dyn Log,
) -> Result<Option<(Manifest, Restored)>, StartError> {
    for epoch in store.epochs()? {
        let loaded = store.manifest(epoch).and_then(|manifest| {
            let restored = store.load(&manifest, workers)?;
            Ok((manifest, restored))
        });
        match loaded {
            Ok((manifest, restored)) => {
                manifest.log.iter().try_for_each(|landmark| log.recognise(landmark))?;
                let (playlists, entries) = (manifest.playlists, manifest.entries);
                tracing::info!(epoch, playlists, entries, "going on from a snapshot");
                return Ok(Some((manifest, restored)));
            }
            Err(error) if error.is_about_one_snapshot() => {
                tracing::warn!("snapshot {epoch} is passed over: {error}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
