//! One reader: it takes from the buffer what comes after its position, at the pace of whoever reads.
//!
//! It hands over a chunk at a time. While that is not taken the buffer goes on, and may leave it behind: then it is
//! told so in a last event, for which there is always room, and let go.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use segue_dataflow::ids::TrackId;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::copy::{Copy, Text};
use super::ring::{Chunk, Kind, Marks, Part};
use super::{Id, Settled, Shared};
use crate::http::show::AsOf;
use crate::metrics;

/// Chunks that are handed over and not taken, at the most; and a last word.
const HANDED_MAX: usize = 2;

/// What a reader wants.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of these tracks; of all if there are none.
    pub tracks: HashSet<TrackId>,
    /// Only of this kind.
    pub kind: Option<Kind>,
}

impl Filter {
    /// Whether an event is wanted.
    pub fn wants(&self, kind: Kind, track: TrackId) -> bool {
        self.kind.is_none_or(|only| only == kind) && (self.tracks.is_empty() || self.tracks.contains(&track))
    }

    fn is_all(&self) -> bool {
        self.kind.is_none() && self.tracks.is_empty()
    }
}

/// One reader. Dropped, it has left.
pub struct Reader {
    shared: Arc<Shared>,
    filter: Filter,
    /// Where it goes on; none: where everything is told that there is.
    position: Option<u64>,
    /// It has not been told all that is there; none if it has, or need not be.
    copy: Option<Copy>,
    told: Option<Marks>,
}

/// What comes next for a reader.
enum Next {
    Chunk(Arc<Chunk>),
    /// It is where everything is told.
    Settled(Arc<Settled>),
    Nothing,
}

/// Why a reader is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It did not keep up.
    Behind,
    /// The server is stopping.
    Stopping,
    /// It has left.
    Left,
}

impl End {
    fn code(self) -> &'static str {
        match self {
            End::Behind => "too_slow",
            End::Stopping => "stopping",
            End::Left => "left",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            End::Behind => {
                "what comes next is not kept any more, as it was not read in time; begin anew with from=start, ask for \
                 less with track or kind, or have changes.buffer_bytes raised"
            }
            End::Stopping => "the server is stopping; begin anew with from=start once it is back",
            End::Left => "",
        }
    }
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        filter: Filter,
        position: Option<u64>,
        copy: Option<Copy>,
    ) -> Self {
        Reader { shared, filter, position, copy, told: None }
    }

    /// Begins to read; what comes of it is the text of server-sent events.
    pub fn start(self) -> mpsc::Receiver<Bytes> {
        let (to, from) = mpsc::channel(HANDED_MAX + 1);
        tokio::spawn(async move {
            let Ok(last) = to.clone().reserve_owned().await else { return };
            let end = self.run(&to).await;
            if end == End::Left {
                return;
            }
            metrics::changes_dropped(end.code());
            let data = json!({"code": end.code(), "detail": end.detail()});
            last.send(format!("event: dropped\ndata: {data}\n\n").into());
        });
        from
    }

    pub(super) async fn run(mut self, to: &mpsc::Sender<Bytes>) -> End {
        let mut news = self.shared.news.subscribe();
        match self.read(to, &mut news).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn read(
        &mut self,
        to: &mpsc::Sender<Bytes>,
        news: &mut watch::Receiver<bool>,
    ) -> Result<std::convert::Infallible, End> {
        let heartbeat = Duration::from_millis(self.shared.settings.heartbeat_ms);
        let mut text = Text::default();
        loop {
            match (self.next()?, self.copy.take()) {
                (Next::Nothing, copy) => {
                    self.copy = copy;
                    self.wait(to, news, heartbeat).await?;
                }
                (Next::Chunk(chunk), Some(mut copy)) => {
                    let from = self.position.replace(chunk.end()).unwrap_or_default();
                    copy.changes(&chunk, from, &self.filter, &self.shared.instance, &mut text);
                    self.copy = Some(copy);
                    if text.is_full() {
                        self.hand_text(&mut text, to, news).await?;
                    }
                }
                (Next::Settled(settled), Some(copy)) => {
                    self.position = Some(settled.position);
                    (self.copy, text) = self.rows(settled, copy, text).await?;
                    self.hand_text(&mut text, to, news).await?;
                }
                (Next::Chunk(chunk), None) => {
                    let from = self.position.replace(chunk.end()).unwrap_or_default();
                    let wants = |part: &Part| self.filter.wants(part.kind, part.track);
                    let (bytes, events) = chunk.text(from, self.filter.is_all(), wants);
                    self.hand(bytes, to, news).await?;
                    metrics::changes_sent(events);
                    if let Some(marks) = chunk.marks {
                        self.mark(marks, to, news).await?;
                    }
                }
                (Next::Settled(settled), None) => {
                    let marks = settled.marks;
                    self.position = Some(settled.position);
                    // It leases a step of the graph, which whoever reads slowly must not hold.
                    drop(settled);
                    self.mark(marks, to, news).await?;
                }
            }
        }
    }

    /// Adds rows that it has not been told, as-of what is settled; gives the copy if there are more.
    async fn rows(
        &self,
        settled: Arc<Settled>,
        mut copy: Copy,
        mut text: Text,
    ) -> Result<(Option<Copy>, Text), End> {
        let (filter, shared) = (self.filter.clone(), Arc::clone(&self.shared));
        // It takes a while.
        let adding = tokio::task::spawn_blocking(move || {
            copy.rows(&settled, &filter, &shared.instance, &mut text);
            (if copy.is_done() { None } else { Some(copy) }, text)
        });
        adding.await.map_err(|_| End::Stopping)
    }

    fn next(&self) -> Result<Next, End> {
        self.shared.state(|state| {
            let Some(settled) = &state.settled else { return Ok(Next::Nothing) };
            let here = || Next::Settled(Arc::clone(settled));
            let Some(position) = self.position else { return Ok(here()) };
            let chunk = state.ring.at(position).map_err(|_| End::Behind)?;
            Ok(match &self.copy {
                _ if position == settled.position && (self.copy.is_some() || self.is_new(settled.marks)) => {
                    here()
                }
                // What is not whole yet could not be followed by rows.
                Some(_) if position > settled.position => Next::Nothing,
                _ => chunk.map_or(Next::Nothing, Next::Chunk),
            })
        })
    }

    /// Whether marks say more than those before.
    fn is_new(&self, marks: Marks) -> bool {
        let more = |told: Marks| marks.graph > told.graph || marks.charts > told.charts;
        marks.as_of().is_some() && self.told.is_none_or(more)
    }

    /// Tells how far it is.
    async fn mark(
        &mut self,
        marks: Marks,
        to: &mpsc::Sender<Bytes>,
        news: &mut watch::Receiver<bool>,
    ) -> Result<(), End> {
        let Some((epoch, position)) = marks.as_of().filter(|_| self.is_new(marks)).zip(self.position) else {
            return Ok(());
        };
        self.told = Some(marks);
        let epoch_of = |epoch: u64| json!({"epoch": epoch});
        let data = json!({"as_of": AsOf::new(epoch), "graph": marks.graph.map(epoch_of), "charts": epoch_of(marks.charts)});
        let id = Id { instance: &self.shared.instance, position, copied: None };
        self.hand(format!("id: {id}\nevent: progress\ndata: {data}\n\n").into(), to, news).await
    }

    async fn hand_text(
        &self,
        text: &mut Text,
        to: &mpsc::Sender<Bytes>,
        news: &mut watch::Receiver<bool>,
    ) -> Result<(), End> {
        let Text { bytes, events } = std::mem::take(text);
        self.hand(bytes.into(), to, news).await?;
        metrics::changes_sent(events);
        Ok(())
    }

    /// Hands text over once there is room for it, unless the buffer leaves the reader behind before.
    async fn hand(
        &self,
        text: Bytes,
        to: &mpsc::Sender<Bytes>,
        news: &mut watch::Receiver<bool>,
    ) -> Result<(), End> {
        if text.is_empty() {
            return Ok(());
        }
        let handing = to.send(text);
        tokio::pin!(handing);
        loop {
            tokio::select! {
                handed = &mut handing => return handed.map_err(|_| End::Left),
                told = news.changed() => {
                    if told.is_err() || self.shared.is_closed() {
                        return Err(End::Stopping);
                    }
                    self.next()?;
                }
            }
        }
    }

    /// Waits for news; says that it is there if there are none for long.
    async fn wait(
        &self,
        to: &mpsc::Sender<Bytes>,
        news: &mut watch::Receiver<bool>,
        heartbeat: Duration,
    ) -> Result<(), End> {
        if self.shared.is_closed() {
            return Err(End::Stopping);
        }
        tokio::select! {
            () = to.closed() => Err(End::Left),
            told = news.changed() => told.map_err(|_| End::Stopping),
            () = tokio::time::sleep(heartbeat) => self.hand(Bytes::from_static(b":\n\n"), to, news).await,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.state(|state| {
            state.readers -= 1;
            state.left = Some(Instant::now());
            metrics::changes_readers(state.readers);
        });
    }
}
