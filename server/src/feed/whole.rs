//! All that is there, for a reader who starts from nothing: rows as-of one step of the graph, and the charts. What
//! came after that is in the buffer.

use std::sync::Arc;

use bytes::Bytes;
use segue_dataflow::ids::TrackId;
use segue_dataflow::neighbours::Row;
use segue_dataflow::query::Lease;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use super::charts::Charts;
use super::reader::{End, Filter, Reader};
use super::ring::{CHUNK_BYTES, Kind};
use super::rows::Teller;
use super::writer::as_of;
use crate::metrics;

/// Rows that are still to be told, from the last to the first.
struct Whole {
    rows: Vec<(TrackId, Arc<Row>)>,
    at: Box<RawValue>,
}

impl Whole {
    fn read(lease: &Lease<'_>, filter: &Filter) -> Self {
        let rows = match filter.kind {
            Some(Kind::Chart) => Vec::new(),
            _ if filter.tracks.is_empty() => lease.rows(),
            _ => filter.tracks.iter().filter_map(|track| Some((*track, lease.row(*track)?))).collect(),
        };
        Whole { rows, at: as_of(lease.graph()) }
    }

    /// Some of them as text, how many, and those that had to leave something out.
    fn take(&mut self, lease: &Lease<'_>) -> (Vec<u8>, usize, Vec<TrackId>) {
        let teller = Teller { as_of: &self.at, uri: |track| lease.uri(track) };
        let (mut text, mut events, mut left_out) = (Vec::new(), 0, Vec::new());
        while text.len() < CHUNK_BYTES
            && let Some((track, row)) = self.rows.pop()
        {
            let begun = text.len();
            begin(Kind::Neighbours, &mut text);
            let complete = lease.uri(track).map(|uri| teller.whole(&uri, &row, &mut text));
            match complete {
                Some(_) => {
                    text.extend_from_slice(b"\n\n");
                    events += 1;
                }
                None => text.truncate(begun),
            }
            if complete != Some(true) {
                left_out.push(track);
            }
        }
        (text, events, left_out)
    }
}

/// An event without an id: whoever has only a part of all cannot go on from it.
fn begin(kind: Kind, text: &mut Vec<u8>) {
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(kind.name().as_bytes());
    text.extend_from_slice(b"\ndata: ");
}

/// Sends it; the reader goes on from `position`.
pub async fn send(
    reader: &mut Reader,
    position: u64,
    to: &mpsc::Sender<Bytes>,
    news: &mut watch::Receiver<bool>,
) -> Result<(), End> {
    let (charts, next, epoch) = reader
        .shared
        .state(|state| (Arc::clone(&state.charts), state.ring.next(), state.ring.settled().0.charts));
    reader.charts = next;
    let (text, events) = places(&charts, &reader.filter, epoch);
    reader.hand(text, position, to, news).await?;
    metrics::changes_sent(events);

    reader.shared.state(|state| state.copies += 1);
    let (engine, filter) = (Arc::clone(&reader.engine), reader.filter.clone());
    let begun = blocking(move || {
        let lease = engine.lease()?;
        Some((Whole::read(&lease, &filter), lease.graph()))
    });
    let (mut whole, step) = begun.await?;
    reader.step = step;
    while !whole.rows.is_empty() {
        let engine = Arc::clone(&reader.engine);
        let taken = blocking(move || {
            let taken = whole.take(&engine.lease()?);
            Some((whole, taken))
        });
        let (rest, (text, events, left_out)) = taken.await?;
        whole = rest;
        reader.shared.state(|state| state.retry(left_out, step));
        reader.hand(text.into(), position, to, news).await?;
        metrics::changes_sent(events);
    }
    reader.shared.state(|state| state.copies += 1);
    Ok(())
}

/// Every place of the charts.
fn places(charts: &Charts, filter: &Filter, epoch: u64) -> (Bytes, usize) {
    let (mut text, mut events) = (Vec::new(), 0);
    for (track, event) in charts.since(&Charts::default(), &as_of(epoch)) {
        if filter.wants(Kind::Chart, track) {
            begin(Kind::Chart, &mut text);
            // A value always becomes JSON, and memory takes it.
            let _ = serde_json::to_writer(&mut text, &event);
            text.extend_from_slice(b"\n\n");
            events += 1;
        }
    }
    (text.into(), events)
}

/// Does something that takes a while, on a thread for that. None, or no thread: the engine has stopped.
async fn blocking<T: Send + 'static>(what: impl FnOnce() -> Option<T> + Send + 'static) -> Result<T, End> {
    tokio::task::spawn_blocking(what).await.ok().flatten().ok_or(End::Stopping)
}
