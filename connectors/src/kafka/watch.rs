//! The watcher: a thread that looks at the topic now and then, for what readers and metrics want to know at once.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::landmark::Surveyor;
use super::{Context, Settings, source};
use crate::log::{Error, Landmark};

/// How often the topic is looked at: for new partitions, and for its ends.
const WATCH: Duration = Duration::from_secs(1);
/// How often it is looked at whether it is still the same topic.
const SURVEY: Duration = Duration::from_secs(5);

/// How long one question to a broker may take; the next look asks again.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// What the threads of one log know of its topic.
pub(super) struct Shared {
    pub(super) topic: String,
    /// For messages.
    pub(super) address: PathBuf,
    pub(super) partitions: AtomicU32,
    /// As they were when the watcher last looked.
    pub(super) ends: Mutex<Vec<u64>>,
    /// What the topic is known by, once it holds a record.
    pub(super) landmark: Mutex<Option<Landmark>>,
    /// Set once it is known to be another topic.
    pub(super) other: OnceLock<Error>,
    /// How far the reader is, by partition, until the group's offsets say so.
    pub(super) uncommitted: Mutex<Option<Vec<u64>>>,
    pub(super) closed: AtomicBool,
}

impl Shared {
    pub(super) fn new(settings: &Settings, partitions: u32) -> Self {
        Shared {
            topic: settings.topic.clone(),
            address: settings.address(&settings.topic),
            partitions: AtomicU32::new(partitions),
            ends: Mutex::default(),
            landmark: Mutex::default(),
            other: OnceLock::new(),
            uncommitted: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }
}

/// Serves librdkafka's events, and looks at the topic now and then, until the log is closed.
pub(super) fn watch(consumer: &BaseConsumer<Context>, surveyor: Surveyor, shared: &Shared) {
    let mut is_away = false;
    let (mut looked, mut surveyed): (Option<Instant>, Option<Instant>) = (None, None);
    while !shared.closed.load(Ordering::SeqCst) {
        // Records do not come here: each partition has its queue.
        if let Some(Err(error)) = consumer.poll(WATCH / 10) {
            tracing::debug!("kafka: {error}");
        }
        if looked.is_some_and(|at| at.elapsed() < WATCH) {
            continue;
        }
        looked = Some(Instant::now());
        if let Ok(metadata) = consumer.fetch_metadata(Some(&shared.topic), WATCH) {
            let there = metadata.topics().iter().map(|topic| topic.partitions().len() as u32).sum();
            let before = shared.partitions.fetch_max(there, Ordering::SeqCst);
            if there > before {
                tracing::info!("{}: {there} partitions, {before} before", shared.address.display());
            }
        }
        let ends = source::ends(consumer, shared);
        is_away = ends.is_err();
        let Ok(ends) = ends else { continue };
        commit(&surveyor, shared);
        if surveyed.is_none_or(|at| at.elapsed() >= SURVEY) {
            survey(&surveyor, shared, &ends);
            // An empty topic is looked at until there is a record.
            surveyed = shared.landmark.lock().map(|_| Instant::now());
        }
        *shared.ends.lock() = ends;
    }
    if !is_away {
        commit(&surveyor, shared);
    }
    surveyor.end();
}

fn commit(surveyor: &Surveyor, shared: &Shared) {
    if let Some(next) = shared.uncommitted.lock().take() {
        surveyor.commit(&next);
    }
}

/// Looks whether it is still the same topic, which ends here by partition.
fn survey(surveyor: &Surveyor, shared: &Shared, ends: &[u64]) {
    let known = *shared.landmark.lock();
    let found = match known {
        Some(known) => surveyor.look(&known),
        None => surveyor.take(ends),
    };
    match found {
        Ok(found) => *shared.landmark.lock() = found,
        Err(other @ Error::OtherLog { .. }) => drop(shared.other.set(other)),
        Err(error) => tracing::debug!("{error}"),
    }
}
