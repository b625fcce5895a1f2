//! An object store that fails on purpose: any store, a script of what goes wrong with which write, and one for reads.
//!
//! One step of the first is used up by each put or delete, one of the second by each get or list; when a script is
//! over, all goes well. Nothing here sleeps: what is slow waits until the test releases it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::Semaphore;

/// What happens to one write or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It succeeds.
    Pass,
    /// It has no effect.
    FailBefore,
    /// It has its effect, but the answer is lost.
    FailAfter,
    /// Half of the object is there, and the answer is lost; of what is read, half comes, as if it were all. A list
    /// fails half way.
    Torn,
    /// It is not allowed.
    Refused,
    /// It waits until [`Faulty::release`], then succeeds.
    Slow,
}

/// A store with faults.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    script: Arc<Script>,
}

/// What is still to go wrong, and what is held.
#[derive(Debug)]
struct Script {
    state: Mutex<State>,
    changed: Condvar,
    released: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    writes: VecDeque<Fault>,
    reads: VecDeque<Fault>,
    /// Slow ones that have come.
    held: u64,
}

impl Faulty {
    /// A store that works, until a script says otherwise.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        let script = Script { state: Mutex::default(), changed: Condvar::new(), released: Semaphore::new(0) };
        Faulty { inner, script: Arc::new(script) }
    }

    /// Adds steps to the end of the script of writes.
    pub fn then(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script.state.lock().writes.extend(faults);
    }

    /// Adds steps to the end of the script of reads.
    pub fn then_reads(&self, faults: impl IntoIterator<Item = Fault>) {
        self.script.state.lock().reads.extend(faults);
    }

    /// How many steps are left of both.
    pub fn left(&self) -> usize {
        let state = self.script.state.lock();
        state.writes.len() + state.reads.len()
    }

    /// Waits until so many slow ones have come since the beginning; false when the time is over.
    pub fn wait_held(&self, calls: u64, timeout: Duration) -> bool {
        let mut state = self.script.state.lock();
        !self.script.changed.wait_while_for(&mut state, |state| state.held < calls, timeout).timed_out()
    }

    /// Lets one slow one go on; the next one to come if none is waiting.
    pub fn release(&self) {
        self.script.released.add_permits(1);
    }
}

impl Script {
    async fn write(&self) -> Fault {
        let fault = self.state.lock().writes.pop_front();
        self.after_release(fault).await
    }

    async fn read(&self) -> Fault {
        let fault = self.state.lock().reads.pop_front();
        self.after_release(fault).await
    }

    /// What is left of a fault once it was released.
    async fn after_release(&self, fault: Option<Fault>) -> Fault {
        if fault != Some(Fault::Slow) {
            return fault.unwrap_or(Fault::Pass);
        }
        self.state.lock().held += 1;
        self.changed.notify_all();
        // It is never closed.
        self.released.acquire().await.into_iter().for_each(tokio::sync::SemaphorePermit::forget);
        Fault::Pass
    }
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
        let fault = self.script.write().await;
        let done = match fault {
            Fault::Pass | Fault::FailAfter | Fault::Slow => {
                self.inner.put_opts(path, payload, options).await?
            }
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
        let fault = self.script.read().await;
        if !matches!(fault, Fault::Pass | Fault::Torn) {
            return Err(failed(fault, path));
        }
        let mut got = self.inner.get_opts(path, options).await?;
        if fault == Fault::Torn {
            let whole = self.inner.get(path).await?.bytes().await?;
            let half = whole.slice(..whole.len() / 2);
            got.payload = GetResultPayload::Stream(stream::once(async move { Ok(half) }).boxed());
        }
        Ok(got)
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, script) = (Arc::clone(&self.inner), Arc::clone(&self.script));
        let delete = move |path: Result<Path>| {
            let (inner, script) = (Arc::clone(&inner), Arc::clone(&script));
            async move {
                let (path, fault) = (path?, script.write().await);
                if matches!(fault, Fault::Pass | Fault::FailAfter) {
                    inner.delete(&path).await?;
                }
                if fault == Fault::Pass { Ok(path) } else { Err(failed(fault, &path)) }
            }
        };
        paths.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, script, prefix) = (Arc::clone(&self.inner), Arc::clone(&self.script), prefix.cloned());
        let begun = async move {
            let fault = script.read().await;
            if fault == Fault::Pass {
                return inner.list(prefix.as_ref());
            }
            let mut all = inner.list(prefix.as_ref()).try_collect::<Vec<_>>().await.unwrap_or_default();
            all.truncate(if fault == Fault::Torn { all.len() / 2 } else { 0 });
            let error = failed(fault, &prefix.unwrap_or_default());
            stream::iter(all.into_iter().map(Ok).chain([Err(error)])).boxed()
        };
        begun.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
