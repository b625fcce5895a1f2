//! Every metric there is, with its unit and its meaning.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::prequential::{Class, Found};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use segue_dataflow::neighbours::{OPERATORS, Stats};

const EVENTS_ACCEPTED: &str = "segue_events_accepted_total";
const EVENTS_REJECTED: &str = "segue_events_rejected_total";
const DEAD_LETTERS: &str = "segue_dead_letters";
const APPEND_SECONDS: &str = "segue_log_append_seconds";
const LOG_NEXT: &str = "segue_log_next_offset";
const VISIBLE_NEXT: &str = "segue_visible_next_offset";
const LAG: &str = "segue_log_lag_records";
const HELD: &str = "segue_log_held_bytes";
const AS_OF_AGE: &str = "segue_as_of_age_seconds";
const QUESTION_SECONDS: &str = "segue_question_seconds";
const REQUESTS: &str = "segue_http_requests_total";
const SNAPSHOTS: &str = "segue_snapshots_total";
const SNAPSHOT_SECONDS: &str = "segue_snapshot_seconds";
const SNAPSHOT_EPOCH: &str = "segue_snapshot_epoch";
const SNAPSHOT_BYTES: &str = "segue_snapshot_bytes";
const FORESEEN: &str = "segue_prequential_additions_total";
const FORESEEN_HITS: &str = "segue_prequential_hits_total";
const FORESEEN_SKIPPED: &str = "segue_prequential_skipped_total";
const FORESEEN_RANK: &str = "segue_prequential_mean_reciprocal_rank";
const FORESEEN_BIAS: &str = "segue_prequential_popularity_bias";
const FORESEEN_SHOWN: &str = "segue_prequential_catalogue_shown";
const GRAPH_EPOCH: &str = "segue_graph_epoch";
const GRAPH_LAG: &str = "segue_graph_lag_seconds";
const GRAPH_ROWS: &str = "segue_graph_rows";
const GRAPH_DIRTY: &str = "segue_graph_dirty_rows";
const GRAPH_NOTES: &str = "segue_graph_notes_total";
const GRAPH_QUESTIONS: &str = "segue_graph_questions_total";
const GRAPH_FOUND: &str = "segue_graph_found_total";
const GRAPH_RECOUNTS: &str = "segue_graph_recounts_total";
const GRAPH_VISITED: &str = "segue_graph_visited_entries_total";
const GRAPH_BUSY: &str = "segue_graph_busy_seconds";
const GRAPH_CHANGED: &str = "segue_graph_changed_rows_total";
const CHANGES_READERS: &str = "segue_changes_readers";
const CHANGES_MADE: &str = "segue_changes_events_total";
const CHANGES_KEPT: &str = "segue_changes_buffer_bytes";
const CHANGES_SENT: &str = "segue_changes_sent_events_total";
const CHANGES_DROPPED: &str = "segue_changes_dropped_readers_total";
const REDIS_ROWS: &str = "segue_redis_rows_total";
const REDIS_SAME: &str = "segue_redis_same_total";
const REDIS_OLDER: &str = "segue_redis_older_total";
const REDIS_COMMANDS: &str = "segue_redis_commands_total";
const REDIS_BYTES: &str = "segue_redis_bytes_total";
const REDIS_DROPPED: &str = "segue_redis_dropped_total";
const REDIS_FAILURES: &str = "segue_redis_failures_total";
const REDIS_SWEEPS: &str = "segue_redis_sweeps_total";
const REDIS_CONNECTED: &str = "segue_redis_connected";
const REDIS_PENDING: &str = "segue_redis_pending_rows";
const REDIS_KEYS: &str = "segue_redis_keys";
const REDIS_HELD: &str = "segue_redis_held_bytes";
const REDIS_LEFT_OUT: &str = "segue_redis_left_out_rows";
const REDIS_EPOCH: &str = "segue_redis_epoch";
const MEMORY: &str = "segue_resident_memory_bytes";

/// Buckets of durations, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Installs the recorder and describes every metric.
///
/// # Errors
/// If another recorder is there already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
    describe_counter!(EVENTS_ACCEPTED, Unit::Count, "Events that are durable on the log");
    describe_counter!(EVENTS_REJECTED, Unit::Count, "Events that were refused, by code");
    describe_gauge!(DEAD_LETTERS, Unit::Count, "Records in the dead-letter log");
    describe_histogram!(APPEND_SECONDS, Unit::Seconds, "Time until a batch was durable on the log");
    describe_gauge!(LOG_NEXT, Unit::Count, "Next offset of the log, by partition");
    describe_gauge!(VISIBLE_NEXT, Unit::Count, "First offset that answers do not include, by partition");
    describe_gauge!(LAG, Unit::Count, "Records of the log that answers do not include yet, by partition");
    describe_gauge!(HELD, Unit::Bytes, "Records that were fetched from Kafka and wait to be read");
    describe_gauge!(AS_OF_AGE, Unit::Seconds, "Age of the newest epoch that is complete on all workers");
    describe_histogram!(QUESTION_SECONDS, Unit::Seconds, "Time from question to answer, by kind");
    describe_counter!(REQUESTS, Unit::Count, "HTTP requests, by status");
    describe_counter!(SNAPSHOTS, Unit::Count, "Snapshots taken (result=taken) or not (result=failed)");
    describe_histogram!(SNAPSHOT_SECONDS, Unit::Seconds, "Time that a snapshot took");
    describe_gauge!(SNAPSHOT_EPOCH, Unit::Milliseconds, "Epoch of the newest snapshot");
    describe_gauge!(SNAPSHOT_BYTES, Unit::Bytes, "Bytes of all that the newest snapshot needs");
    describe_counter!(
        FORESEEN,
        Unit::Count,
        "Additions that were looked at before they were applied, by seeds"
    );
    describe_counter!(FORESEEN_HITS, Unit::Count, "Those that were among the first recommendations (within)");
    describe_counter!(FORESEEN_SKIPPED, Unit::Count, "Additions that were to be looked at, without the time");
    describe_gauge!(FORESEEN_RANK, Unit::Count, "Mean of 1 / rank of additions, since the start, by seeds");
    describe_gauge!(
        FORESEEN_BIAS,
        Unit::Count,
        "How many times as popular as additions the first ten recommendations are, since the start, by seeds"
    );
    describe_gauge!(
        FORESEEN_SHOWN,
        Unit::Count,
        "Share of all tracks that were among the first ten, by seeds"
    );
    describe_gauge!(GRAPH_EPOCH, Unit::Milliseconds, "Epoch as-of which all rows of the graph are exact");
    describe_gauge!(GRAPH_LAG, Unit::Seconds, "How far the graph is behind the answers");
    describe_gauge!(GRAPH_ROWS, Unit::Count, "Tracks that have a row in the graph");
    describe_gauge!(GRAPH_DIRTY, Unit::Count, "Rows that are still to be counted anew in the step at work");
    describe_counter!(GRAPH_CHANGED, Unit::Count, "Rows that steps of the graph have changed");
    describe_counter!(GRAPH_NOTES, Unit::Count, "Changes of counts that rows were told");
    describe_counter!(GRAPH_QUESTIONS, Unit::Count, "Tracks whose count a row had to ask for");
    describe_counter!(GRAPH_FOUND, Unit::Count, "Those of them that the row lists since");
    describe_counter!(GRAPH_RECOUNTS, Unit::Count, "Rows that were counted anew");
    describe_counter!(GRAPH_VISITED, Unit::Count, "Entries that were visited to count rows anew");
    describe_gauge!(GRAPH_BUSY, Unit::Seconds, "Time that the workers have spent on the graph, by operator");
    describe_gauge!(CHANGES_READERS, Unit::Count, "Readers of the change feed");
    describe_gauge!(CHANGES_KEPT, Unit::Bytes, "Events that the change feed keeps");
    describe_counter!(CHANGES_MADE, Unit::Count, "Events that were made for the change feed");
    describe_counter!(
        CHANGES_SENT,
        Unit::Count,
        "Events that readers of the change feed were sent, all together"
    );
    describe_counter!(CHANGES_DROPPED, Unit::Count, "Readers of the change feed that were let go, by reason");
    describe_counter!(REDIS_ROWS, Unit::Count, "Rows that were set in Redis, or deleted there");
    describe_counter!(REDIS_SAME, Unit::Count, "Changed rows that stood in Redis as they are");
    describe_counter!(REDIS_OLDER, Unit::Count, "Values that were not set as there was a newer one");
    describe_counter!(REDIS_COMMANDS, Unit::Count, "Commands sent to Redis");
    describe_counter!(REDIS_BYTES, Unit::Bytes, "Bytes sent to Redis");
    describe_counter!(REDIS_DROPPED, Unit::Count, "Changed rows that were forgotten as too many waited");
    describe_counter!(REDIS_FAILURES, Unit::Count, "Times that Redis could not be reached, or refused");
    describe_counter!(REDIS_SWEEPS, Unit::Count, "Times that all keys in Redis were looked after");
    describe_gauge!(REDIS_CONNECTED, Unit::Count, "1 while Redis takes what it is sent");
    describe_gauge!(REDIS_PENDING, Unit::Count, "Rows that wait to be set in Redis");
    describe_gauge!(REDIS_KEYS, Unit::Count, "Keys in Redis");
    describe_gauge!(REDIS_HELD, Unit::Bytes, "Keys and values in Redis");
    describe_gauge!(REDIS_LEFT_OUT, Unit::Count, "Rows that have no key as there is no room");
    describe_gauge!(REDIS_EPOCH, Unit::Milliseconds, "Epoch as-of which all keys in Redis are true");
    describe_gauge!(MEMORY, Unit::Bytes, "Resident memory of this process");
    Ok(handle)
}

/// So many events are durable.
pub fn accepted(events: usize) {
    counter!(EVENTS_ACCEPTED).increment(events as u64);
}

/// An event was refused.
pub fn rejected(code: &str) {
    counter!(EVENTS_REJECTED, "code" => code.to_owned()).increment(1);
}

/// A batch became durable.
pub fn appended(took: Duration) {
    histogram!(APPEND_SECONDS).record(took);
}

/// A question was answered.
pub fn answered(kind: &'static str, took: Duration) {
    histogram!(QUESTION_SECONDS, "kind" => kind).record(took);
}

/// A request was replied to.
pub fn replied(status: u16) {
    counter!(REQUESTS, "status" => status.to_string()).increment(1);
}

/// A snapshot was taken.
pub fn snapshot_taken(took: Duration, epoch: u64, bytes: u64) {
    counter!(SNAPSHOTS, "result" => "taken").increment(1);
    histogram!(SNAPSHOT_SECONDS).record(took);
    gauge!(SNAPSHOT_EPOCH).set(epoch as f64);
    gauge!(SNAPSHOT_BYTES).set(bytes as f64);
}

/// A snapshot was not taken.
pub fn snapshot_failed() {
    counter!(SNAPSHOTS, "result" => "failed").increment(1);
}

/// An addition was looked at before it was applied; `rates` are those since the start.
pub fn foreseen(Found { seeds, rank }: Found, rates: impl Iterator<Item = Class>) {
    counter!(FORESEEN, "seeds" => seeds).increment(1);
    for (within, hits) in [("10", 10), ("100", 100)] {
        let hit = rank.is_some_and(|rank| rank <= hits);
        counter!(FORESEEN_HITS, "seeds" => seeds, "within" => within).increment(hit.into());
    }
    // All classes: what is shown of the catalogue is less when it grows.
    for Class { seeds, rates } in rates {
        gauge!(FORESEEN_RANK, "seeds" => seeds).set(rates.mean_reciprocal_rank);
        gauge!(FORESEEN_BIAS, "seeds" => seeds).set(rates.popularity_bias);
        gauge!(FORESEEN_SHOWN, "seeds" => seeds).set(rates.catalogue_shown);
    }
}

/// There was no time to look at an addition.
pub fn not_foreseen() {
    counter!(FORESEEN_SKIPPED).increment(1);
}

/// What is looked at when somebody asks.
pub fn observe(dead_letters: u64, as_of_age: Duration, offsets: &[(u64, u64)], held: u64) {
    gauge!(DEAD_LETTERS).set(dead_letters as f64);
    gauge!(HELD).set(held as f64);
    gauge!(AS_OF_AGE).set(as_of_age.as_secs_f64());
    for (partition, (end, visible)) in offsets.iter().enumerate() {
        gauge!(LOG_NEXT, "partition" => partition.to_string()).set(*end as f64);
        gauge!(VISIBLE_NEXT, "partition" => partition.to_string()).set(*visible as f64);
        gauge!(LAG, "partition" => partition.to_string()).set(end.saturating_sub(*visible) as f64);
    }
    if let Some(bytes) = resident_bytes() {
        gauge!(MEMORY).set(bytes as f64);
    }
}

/// A step of the graph has changed so many rows.
pub fn graph_changed(rows: usize) {
    counter!(GRAPH_CHANGED).increment(rows as u64);
}

/// What the graph has done, and how far it and the answers are.
pub fn graph(stats: &Stats, epoch: u64, as_of: u64) {
    gauge!(GRAPH_EPOCH).set(epoch as f64);
    gauge!(GRAPH_LAG).set(Duration::from_millis(as_of.saturating_sub(epoch)).as_secs_f64());
    gauge!(GRAPH_ROWS).set(stats.rows.load(Relaxed) as f64);
    gauge!(GRAPH_DIRTY).set(stats.dirty.load(Relaxed) as f64);
    let counted = [
        (GRAPH_NOTES, &stats.notes),
        (GRAPH_QUESTIONS, &stats.questions),
        (GRAPH_FOUND, &stats.found),
        (GRAPH_RECOUNTS, &stats.recounts),
        (GRAPH_VISITED, &stats.visited),
    ];
    for (name, number) in counted {
        counter!(name).absolute(number.load(Relaxed));
    }
    for (operator, us) in OPERATORS.iter().zip(&stats.busy_us) {
        let busy = Duration::from_micros(us.load(Relaxed));
        gauge!(GRAPH_BUSY, "operator" => *operator).set(busy.as_secs_f64());
    }
}

/// There are so many readers of the change feed.
pub fn changes_readers(readers: usize) {
    gauge!(CHANGES_READERS).set(readers as f64);
}

/// So many events were made for the change feed.
pub fn changes_made(events: usize) {
    counter!(CHANGES_MADE).increment(events as u64);
}

/// The change feed keeps so many bytes of events.
pub fn changes_kept(bytes: usize) {
    gauge!(CHANGES_KEPT).set(bytes as f64);
}

/// A reader of the change feed was handed so many events.
pub fn changes_sent(events: usize) {
    counter!(CHANGES_SENT).increment(events as u64);
}

/// A reader of the change feed was let go.
pub fn changes_dropped(reason: &'static str) {
    counter!(CHANGES_DROPPED, "reason" => reason).increment(1);
}

/// What of the copy in Redis can be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Redis {
    /// Whether it takes what it is sent.
    pub connected: bool,
    /// Rows that wait.
    pub pending: usize,
    /// Keys there.
    pub keys: usize,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Rows without room.
    pub left_out: usize,
    /// As-of which all are true; 0 if that is not known.
    pub epoch: u64,
}

/// How the copy in Redis is.
pub fn redis(now: &Redis) {
    gauge!(REDIS_CONNECTED).set(f64::from(u8::from(now.connected)));
    gauge!(REDIS_PENDING).set(now.pending as f64);
    gauge!(REDIS_KEYS).set(now.keys as f64);
    gauge!(REDIS_HELD).set(now.bytes as f64);
    gauge!(REDIS_LEFT_OUT).set(now.left_out as f64);
    gauge!(REDIS_EPOCH).set(now.epoch as f64);
}

/// Rows were set or deleted in Redis; `older` values were not, and others were the `same` already.
pub fn redis_set(rows: usize, older: usize, same: usize) {
    counter!(REDIS_SAME).increment(same as u64);
    counter!(REDIS_ROWS).increment(rows as u64);
    counter!(REDIS_OLDER).increment(older as u64);
}

/// Commands were sent to Redis.
pub fn redis_sent(commands: u64, bytes: u64) {
    counter!(REDIS_COMMANDS).increment(commands);
    counter!(REDIS_BYTES).increment(bytes);
}

/// Changed rows were forgotten.
pub fn redis_dropped(rows: usize) {
    counter!(REDIS_DROPPED).increment(rows as u64);
}

/// Redis could not be reached, or refused.
pub fn redis_failed() {
    counter!(REDIS_FAILURES).increment(1);
}

/// All keys were looked after.
pub fn redis_swept() {
    counter!(REDIS_SWEEPS).increment(1);
}

/// From the kernel; none where it does not say.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kb| kb * 1024)
}
