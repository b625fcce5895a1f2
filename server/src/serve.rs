//! Serving: both ports open, until a signal or a failure; then drained, stopped and closed, in this order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admin::Admin;
use crate::config::Config;
use crate::service::{Service, StartError};
use crate::{http, metrics};

/// How often the log's dashboards are told how far answers are.
const COMMIT: Duration = Duration::from_secs(1);

/// Why serving did not begin, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Something was in the way at the start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The file that should tell the addresses cannot be written.
    #[error("cannot write {path}: {source}")]
    ReadyFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Metrics or signals.
    #[error("cannot set up {what}: {detail}")]
    Setup {
        /// What.
        what: &'static str,
        /// Why.
        detail: String,
    },
    /// It ran and then something went wrong for good.
    #[error("stopped: {0}")]
    Failed(String),
}

/// Where a server listens: written to the ready file, and into its data folder for commands that look for it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// The REST API.
    pub api: SocketAddr,
    /// Health, metrics, dead letters.
    pub admin: SocketAddr,
}

impl Addresses {
    fn file(data_dir: &Path) -> PathBuf {
        data_dir.join("addresses.json")
    }

    /// Of the server that has this data folder open. After a crash they are those of the last one.
    ///
    /// # Errors
    /// If there is none, or it does not listen yet.
    pub fn of(data_dir: &Path) -> std::io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(Self::file(data_dir))?)?)
    }

    /// For asking it: past any proxy, and an error is an answer too.
    pub fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into()
    }

    fn write(&self, path: &Path) -> Result<(), ServeError> {
        let text = serde_json::to_vec(self).map_err(std::io::Error::from);
        text.and_then(|text| std::fs::write(path, text))
            .map_err(|source| ServeError::ReadyFile { path: path.to_owned(), source })
    }
}

/// A server that listens.
pub struct Running {
    /// What it serves.
    pub service: Arc<Service>,
    /// Where the API is.
    pub api: SocketAddr,
    /// Set by the first signal, or once it is to stop: for whoever works along.
    pub interrupted: Arc<AtomicBool>,
    done: tokio::task::JoinHandle<()>,
    stop: watch::Sender<bool>,
    signal: watch::Receiver<bool>,
}

/// Opens everything and serves in the background.
///
/// # Errors
/// Says what is in the way.
pub async fn start(config: Config, ready_file: Option<&Path>) -> Result<Running, ServeError> {
    let setup = |what, detail: String| ServeError::Setup { what, detail };
    let recorder = metrics::install().map_err(|e| setup("metrics", e.to_string()))?;
    let (api, admin) = (listen(config.server.bind).await?, listen(config.server.admin_bind).await?);
    let addresses = [&api, &admin].map(|listener| listener.local_addr());
    let [Ok(api_address), Ok(admin_address)] = addresses else {
        return Err(setup("listeners", "the system does not tell their addresses".into()));
    };
    let addresses = Addresses { api: api_address, admin: admin_address };
    let data_dir = config.server.data_dir.clone();
    let drain = Duration::from_millis(config.server.drain_ms);
    let signal = signals().map_err(|e| setup("signals", e.to_string()))?;
    let service = tokio::task::spawn_blocking(move || Service::start(config))
        .await
        .map_err(|e| setup("the engine", e.to_string()))??;

    let (stop, stopped) = watch::channel(false);
    let draining = Arc::new(AtomicBool::new(false));
    let admin_routes =
        Admin { service: Arc::clone(&service), draining: Arc::clone(&draining), metrics: recorder }.routes();
    let api_server =
        warp::serve(http::routes(Arc::clone(&service))).incoming(api).graceful(once(stopped.clone())).run();
    let admin_server = warp::serve(admin_routes).incoming(admin).run();
    let admin_task = tokio::spawn(admin_server);
    let interrupted = Arc::new(AtomicBool::new(false));
    let (asked, ended, set) = (signal.clone(), stopped.clone(), Arc::clone(&interrupted));
    tokio::spawn(async move {
        tokio::select! { () = once(asked) => {}, () = once(ended) => {} }
        set.store(true, Ordering::SeqCst);
    });
    let (reader, ended) = (Arc::clone(&service), stopped.clone());
    tokio::spawn(async move {
        let mut told = Vec::new();
        while tokio::time::timeout(COMMIT, once(ended.clone())).await.is_err() {
            reader.commit(&mut told);
        }
    });
    let api_task = tokio::spawn(api_server);
    let done = tokio::spawn(async move {
        once(stopped).await;
        draining.store(true, Ordering::SeqCst);
        if tokio::time::timeout(drain, api_task).await.is_err() {
            tracing::warn!("requests in flight were cut off after {} ms", drain.as_millis());
        }
        admin_task.abort();
    });
    addresses.write(&Addresses::file(&data_dir))?;
    if let Some(path) = ready_file {
        addresses.write(path)?;
    }
    tracing::info!("listening on http://{api_address}, admin on http://{admin_address}");
    Ok(Running { service, api: api_address, interrupted, done, stop, signal })
}

impl Running {
    /// Serves until a signal comes or something goes wrong for good, then stops everything.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn until_stopped(self) -> Result<(), ServeError> {
        let failure = tokio::select! {
            () = once(self.signal.clone()) => None,
            reason = self.service.health.failed() => Some(reason),
        };
        tracing::info!("stopping");
        // Its readers would never end by themselves.
        self.service.feed.close();
        self.stop.send_replace(true);
        // It fails only if it panicked, and then there is nothing left to drain.
        let _ = self.done.await;
        let service = Arc::clone(&self.service);
        let stopped = tokio::task::spawn_blocking(move || service.stop()).await;
        let stopped = stopped.unwrap_or_else(|e| Err(e.to_string()));
        // One that is left over is overwritten by the next server.
        let _ = std::fs::remove_file(Addresses::file(&self.service.config.server.data_dir));
        match failure.or(stopped.err()) {
            Some(reason) => Err(ServeError::Failed(reason)),
            None => Ok(()),
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, source })
}

/// When it becomes true, or whoever could make it so is gone.
async fn once(mut what: watch::Receiver<bool>) {
    let _ = what.wait_for(|is| *is).await;
}

/// True from the first SIGINT or SIGTERM on; the second ends the process at once.
fn signals() -> std::io::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if tell.send_replace(true) {
                #[expect(clippy::disallowed_methods, reason = "asked for twice; the log survives it")]
                std::process::exit(130);
            }
        }
    });
    Ok(told)
}
