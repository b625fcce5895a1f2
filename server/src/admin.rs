//! The admin port: health, readiness, metrics, dead letters. On loopback unless configured otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use segue_connectors::dead_letters::RAW_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;
use warp::http::{Response, StatusCode};
use warp::{Filter, Rejection, Reply};

use crate::clock::now_ms;
use crate::dead_letters::{self, PAGE_LETTERS_MAX};
use crate::metrics;
use crate::service::Service;
use crate::snapshots;

/// An as-of older than this means that the engine does not get on.
const AS_OF_AGE_MAX: Duration = Duration::from_secs(10);

/// What the admin port looks at.
#[derive(Clone)]
pub struct Admin {
    /// The running server.
    pub service: Arc<Service>,
    /// Set when the server is about to stop.
    pub draining: Arc<AtomicBool>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// Which dead letters.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Page {
    /// The first one's number.
    from: u64,
    /// At most so many, and at most [`PAGE_LETTERS_MAX`].
    limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Page { from: 0, limit: PAGE_LETTERS_MAX }
    }
}

impl Admin {
    /// `/livez`, `/startupz`, `/readyz`, `/metrics`, `/dead-letters`, `/snapshots`.
    pub fn routes(self) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone + Send + Sync {
        let admin = warp::any().map(move || self.clone());
        let path = |name: &'static str| warp::path(name).and(warp::path::end()).and(warp::get());
        let live = path("livez").map(|| "ok\n".to_owned().into_response());
        let startup = path("startupz").and(admin.clone()).map(|admin: Admin| admin.checks(false));
        let ready = path("readyz").and(admin.clone()).map(|admin: Admin| admin.checks(true));
        let metrics = path("metrics").and(admin.clone()).map(|admin: Admin| admin.metrics());
        let create = warp::path!("snapshots").and(warp::post()).and(admin.clone()).then(Admin::take_snapshot);
        let list = path("snapshots").and(admin.clone()).then(Admin::snapshots);
        let letters = path("dead-letters").and(admin).and(warp::query()).then(Admin::dead_letters);
        let snapshots = create.or(list).unify();
        live.or(startup)
            .unify()
            .or(ready)
            .unify()
            .or(metrics)
            .unify()
            .or(letters)
            .unify()
            .or(snapshots)
            .unify()
    }

    fn as_of_age(&self) -> Duration {
        Duration::from_millis(now_ms().saturating_sub(self.service.progress.borrow().as_of))
    }

    /// 200 if all checks pass, 503 otherwise; either way each with what is the matter.
    fn checks(&self, all: bool) -> warp::reply::Response {
        let service = &self.service;
        let caught_up =
            if service.is_caught_up() { None } else { Some("the log is still being read".to_owned()) };
        let mut checks = vec![("caught_up", caught_up)];
        if all {
            let stopping = self.draining.load(Ordering::SeqCst).then(|| "the server is stopping".to_owned());
            let age = self.as_of_age();
            let lagging =
                (age > AS_OF_AGE_MAX).then(|| format!("the newest answers are {} s old", age.as_secs()));
            checks.push(("serving", stopping));
            checks.push(("fresh", lagging));
            checks.push(("log", service.health.degraded().or_else(|| service.health.failure())));
        }
        let ok = checks.iter().all(|(_, matter)| matter.is_none());
        // It serves on without these.
        let spared = service.health.spared().into_iter();
        checks.extend(spared.filter(|_| all).map(|(name, why)| (name, Some(format!("degraded: {why}")))));
        let shown: serde_json::Map<_, _> = checks
            .into_iter()
            .map(|(name, matter)| (name.to_owned(), json!(matter.unwrap_or_else(|| "ok".to_owned()))))
            .collect();
        let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        warp::reply::with_status(warp::reply::json(&json!({"ready": ok, "checks": shown})), status)
            .into_response()
    }

    /// Takes a snapshot now.
    async fn take_snapshot(self) -> warp::reply::Response {
        let Some(keeper) = &self.service.keeper else { return unavailable("snapshots.url is \"off\"") };
        match keeper.take().await {
            Ok(manifest) => {
                let body = warp::reply::json(&snapshots::commands::shown(&manifest));
                warp::reply::with_status(body, StatusCode::CREATED).into_response()
            }
            Err(why) => unavailable(&why),
        }
    }

    /// All snapshots, an array, the newest first.
    async fn snapshots(self) -> warp::reply::Response {
        let store = self.service.keeper.as_ref().map(|keeper| keeper.store.clone());
        let all = tokio::task::spawn_blocking(move || match store {
            Some(store) => snapshots::commands::all(&store),
            None => Ok(Vec::new()),
        });
        match all.await.map_err(anyhow::Error::from).flatten() {
            Ok(all) => warp::reply::json(&all).into_response(),
            Err(error) => unavailable(&format!("{error:#}")),
        }
    }

    /// A page of dead letters, an array. What people sent: for operators only.
    async fn dead_letters(self, Page { from, limit }: Page) -> warp::reply::Response {
        let letters = Arc::clone(&self.service.dead_letters);
        let page = move || dead_letters::page(&letters, from, limit, RAW_BYTES_MAX);
        let page = tokio::task::spawn_blocking(page).await;
        match page.map_err(anyhow::Error::from).flatten() {
            Ok(page) => warp::reply::json(&page).into_response(),
            Err(error) => unavailable(&format!("{error:#}")),
        }
    }

    fn metrics(&self) -> warp::reply::Response {
        let dead_letters = self.service.dead_letters.count().unwrap_or(0);
        let (offsets, held) = (self.service.offsets(), self.service.log.held());
        metrics::observe(dead_letters, self.as_of_age(), &offsets, held);
        if let Some((stats, epoch)) = self.service.graph() {
            metrics::graph(&stats, epoch, self.service.progress.borrow().as_of);
        }
        Response::new(self.metrics.render().into())
    }
}

fn unavailable(why: &str) -> warp::reply::Response {
    warp::reply::with_status(format!("{why}\n"), StatusCode::SERVICE_UNAVAILABLE).into_response()
}
