//! What has gone wrong: for good, so that the process ends, or so that no more events are taken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The first of each kind is kept; readiness tells it.
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

fn first(place: &Mutex<Option<String>>) -> Option<String> {
    place.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn keep(place: &Mutex<Option<String>>, reason: String) {
    place.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
}

impl Health {
    /// The process has to end. Nothing is a failure any more once it is stopping.
    pub fn fail(&self, reason: String) {
        if self.stopping.load(Ordering::SeqCst) {
            return;
        }
        tracing::error!("{reason}");
        keep(&self.failure, reason);
        self.news.notify_waiters();
    }

    /// Why the process has to end, if so.
    pub fn failure(&self) -> Option<String> {
        first(&self.failure)
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
        keep(&self.degraded, reason);
    }

    /// Something is tried until it works: what, or that it does by now.
    pub fn waits_for(&self, what: Option<String>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Which log takes no more, or not for the moment, and why, if so.
    pub fn degraded(&self) -> Option<String> {
        first(&self.degraded).or_else(|| first(&self.waiting))
    }

    /// Why the last snapshot was not taken; none if it was.
    pub fn snapshots(&self, why: Option<String>) {
        *self.snapshots.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Why the copy in Redis is not kept up; none if it is.
    pub fn redis(&self, why: Option<String>) {
        *self.redis.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// What does not work but is not needed to answer, if so: by name, and why.
    pub fn spared(&self) -> Vec<(&'static str, String)> {
        let spared = [("snapshots", &self.snapshots), ("redis", &self.redis)].into_iter();
        spared.filter_map(|(name, place)| Some((name, first(place)?))).collect()
    }

    /// From here on, ends are no failures.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }
}
