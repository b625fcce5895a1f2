//! Where snapshots are kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use url::Url;

use super::Error;

/// Where snapshots are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `s3://bucket/prefix` or `file:///folder`.
    pub url: String,
    /// Options of the S3 client, by the names that object_store gives them: `aws_endpoint`,
    /// `aws_access_key_id`, `aws_secret_access_key`, `aws_region`, `aws_allow_http`, … What is not here is
    /// taken from the environment (`AWS_ENDPOINT`, …).
    pub options: BTreeMap<String, String>,
    /// How long a request to S3 is tried again before it has failed.
    pub retry: Duration,
    /// Whether warm images are written with snapshots, and read where they fit.
    pub images: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            url: String::new(),
            options: BTreeMap::new(),
            retry: Duration::from_secs(10),
            images: false,
        }
    }
}

impl fmt::Debug for Settings {
    /// Without the options: keys are among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Settings {
    /// The store, and the prefix in it. Only a folder is looked at, and made if that is wanted: one that is not
    /// there holds nothing.
    pub(super) fn open(&self, make: bool) -> Result<(Arc<dyn ObjectStore>, Path), Error> {
        let wrong = |detail: String| Error::Settings { url: self.url.clone(), detail };
        let url = Url::parse(&self.url).map_err(|e| wrong(format!("{e}; give s3://… or file:///…")))?;
        match url.scheme() {
            "file" => {
                let folder = url.to_file_path().map_err(|()| wrong("it names no folder here".into()))?;
                match make || folder.exists() {
                    true => Ok((local(&folder)?, Path::default())),
                    false => Ok((Arc::new(InMemory::new()), Path::default())),
                }
            }
            "s3" | "s3a" => {
                let mut builder = AmazonS3Builder::from_env().with_url(&self.url);
                for (name, value) in &self.options {
                    let key: AmazonS3ConfigKey =
                        name.parse().map_err(|_| wrong(format!("`{name}` is no option of an S3 client")))?;
                    builder = builder.with_config(key, value);
                }
                let retry = RetryConfig {
                    backoff: BackoffConfig {
                        max_backoff: Duration::from_secs(2),
                        ..BackoffConfig::default()
                    },
                    retry_timeout: self.retry,
                    ..RetryConfig::default()
                };
                let store = builder.with_retry(retry).build();
                let prefix = Path::from_url_path(url.path()).map_err(|e| wrong(e.to_string()))?;
                Ok((Arc::new(store.map_err(|e| wrong(e.to_string()))?), prefix))
            }
            other => Err(wrong(format!("scheme `{other}` is not known, s3 and file are"))),
        }
    }
}

fn local(folder: &FilePath) -> Result<Arc<dyn ObjectStore>, Error> {
    let failed = |source| Error::Folder { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|e| failed(std::io::Error::other(e)))?;
    Ok(Arc::new(store.with_fsync(true).with_automatic_cleanup(true)))
}
