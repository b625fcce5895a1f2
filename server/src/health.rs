//! What has gone wrong: for good, so that the process ends, or so that no more events are taken.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// What readiness tells. Of what is for good the first is kept, of what may pass the newest.
#[derive(Default)]
pub struct Health {
    failure: Mutex<Option<String>>,
    degraded: Mutex<Option<String>>,
    waiting: Mutex<Option<String>>,
    snapshots: Mutex<Option<String>>,
    redis: Mutex<Option<String>>,
    stopping: AtomicBool,
    news: tokio::sync::Notify,
}

impl Health {
    /// The process has to end. Nothing is a failure any more once it is stopping.
    pub fn fail(&self, reason: String) {
        if self.stopping.load(Ordering::SeqCst) {
            return;
        }
        tracing::error!("{reason}");
        self.failure.lock().get_or_insert(reason);
        self.news.notify_waiters();
    }

    /// Why the process has to end, if so.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Waits until the process has to end.
    pub async fn failed(&self) -> String {
        loop {
            let news = self.news.notified();
            if let Some(reason) = self.failure() {
                return reason;
            }
            news.await;
        }
    }

    /// A log takes no more: questions are still answered.
    pub fn degrade(&self, reason: String) {
        tracing::error!("{reason}");
        self.degraded.lock().get_or_insert(reason);
    }

    /// Something is tried until it works: what, or that it does by now.
    pub fn waits_for(&self, what: Option<String>) {
        *self.waiting.lock() = what;
    }

    /// Which log takes no more, or not for the moment, and why, if so.
    pub fn degraded(&self) -> Option<String> {
        self.degraded.lock().clone().or_else(|| self.waiting.lock().clone())
    }

    /// Why the last snapshot was not taken; none if it was.
    pub fn set_snapshots(&self, why: Option<String>) {
        *self.snapshots.lock() = why;
    }

    /// Why the copy in Redis is not kept up; none if it is.
    pub fn set_redis(&self, why: Option<String>) {
        *self.redis.lock() = why;
    }

    /// What does not work but is not needed to answer, if so: by name, and why.
    pub fn spared(&self) -> Vec<(&'static str, String)> {
        let spared = [("snapshots", &self.snapshots), ("redis", &self.redis)].into_iter();
        spared.filter_map(|(name, place)| Some((name, place.lock().clone()?))).collect()
    }

    /// From here on, ends are no failures.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }
}
