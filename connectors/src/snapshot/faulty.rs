//! An object store that fails on purpose: any store, and a script of what goes wrong with which write.
//!
//! One step of the script is used up by each put or delete; when it is over, all goes well.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens to one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It succeeds.
    Pass,
    /// It has no effect.
    FailBefore,
    /// It has its effect, but the answer is lost.
    FailAfter,
    /// Half of the object is there, and the answer is lost.
    Torn,
    /// It is not allowed.
    Refused,
}

/// A store with faults.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    script: Arc<Mutex<VecDeque<Fault>>>,
}

impl Faulty {
    /// A store that works, until a script says otherwise.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Faulty { inner, script: Arc::default() }
    }

    /// Adds steps to the end of the script.
    pub fn then(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).extend(faults);
    }

    /// How many steps are left.
    pub fn left(&self) -> usize {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn next(script: &Mutex<VecDeque<Fault>>) -> Fault {
    script.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(Fault::Pass)
}

fn failed(fault: Fault, path: &Path) -> Error {
    let source = format!("{fault:?}, as the script says").into();
    match fault {
        Fault::Refused => Error::PermissionDenied { path: path.to_string(), source },
        _ => Error::Generic { store: "Faulty", source },
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fault = next(&self.script);
        let done = match fault {
            Fault::Pass | Fault::FailAfter => self.inner.put_opts(path, payload, options).await?,
            Fault::Torn => {
                let whole: Vec<u8> = payload.iter().flat_map(|part| part.to_vec()).collect();
                let half = PutPayload::from(whole[..whole.len() / 2].to_vec());
                self.inner.put_opts(path, half, options).await?
            }
            Fault::FailBefore | Fault::Refused => return Err(failed(fault, path)),
        };
        if fault == Fault::Pass { Ok(done) } else { Err(failed(fault, path)) }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, script) = (Arc::clone(&self.inner), Arc::clone(&self.script));
        let delete = move |path: Result<Path>| {
            let (inner, fault) = (Arc::clone(&inner), next(&script));
            async move {
                let path = path?;
                if matches!(fault, Fault::Pass | Fault::FailAfter) {
                    inner.delete(&path).await?;
                }
                if fault == Fault::Pass { Ok(path) } else { Err(failed(fault, &path)) }
            }
        };
        paths.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
