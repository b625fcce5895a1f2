//! One reader: it takes from the buffer what comes after its position, at the pace of whoever reads.
//!
//! It hands over a chunk at a time. While that is not taken the buffer goes on, and may leave it behind: then it is
//! told so in a last event, for which there is always room, and let go.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use segue_dataflow::ids::TrackId;
use segue_dataflow::workers::Engine;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::ring::{Chunk, Kind, Marks, Part};
use super::{Shared, whole};
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
    pub(super) shared: Arc<Shared>,
    pub(super) engine: Arc<Engine>,
    pub(super) filter: Filter,
    /// Where it goes on; none: from now on.
    position: Option<u64>,
    whole: bool,
    /// It has rows as-of this step.
    pub(super) step: u64,
    /// It has the charts as of this position.
    pub(super) charts: u64,
    told: Option<Marks>,
}

/// What comes next for a reader.
enum Next {
    Chunk(Arc<Chunk>),
    /// Nothing, and so far it has everything.
    Marks(Marks),
    Nothing,
    End(End),
}

/// Why a reader is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It did not keep up.
    Behind,
    /// The feed did not keep up.
    Gap,
    /// The server is stopping.
    Stopping,
    /// It has left.
    Left,
}

impl End {
    fn code(self) -> &'static str {
        match self {
            End::Behind => "too_slow",
            End::Gap => "gap",
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
            End::Gap => "more has changed at once than could be followed; begin anew with from=start",
            End::Stopping => "the server is stopping; begin anew with from=start once it is back",
            End::Left => "",
        }
    }
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        engine: Arc<Engine>,
        filter: Filter,
        position: Option<u64>,
        whole: bool,
    ) -> Self {
        // Who goes on has what is there.
        let whole = whole && position.is_none();
        Reader { shared, engine, filter, position, whole, step: 0, charts: 0, told: None }
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

    async fn run(mut self, to: &mpsc::Sender<Bytes>) -> End {
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
        while !self.shared.state(|state| state.active) {
            self.wait(self.begin(), to, news, heartbeat).await?;
        }
        let mut position = self.begin();
        if self.whole {
            whole::send(self, position, to, news).await?;
        }
        loop {
            match self.next(position) {
                Next::Chunk(chunk) => {
                    let (text, events) =
                        chunk.text(position, self.wants_all(&chunk), |part| self.wants(part, &chunk));
                    position = chunk.end();
                    self.hand(text, position, to, news).await?;
                    metrics::changes_sent(events);
                    if let Some(marks) = chunk.marks {
                        self.mark(marks, position, to, news).await?;
                    }
                }
                Next::Marks(marks) => self.mark(marks, position, to, news).await?,
                Next::Nothing => self.wait(position, to, news, heartbeat).await?,
                Next::End(end) => return Err(end),
            }
        }
    }

    /// Where it goes on, or else the present. What is after that is part of what is not whole yet.
    fn begin(&self) -> u64 {
        self.position.unwrap_or_else(|| self.shared.state(|state| state.ring.settled().1))
    }

    fn next(&self, position: u64) -> Next {
        self.shared.state(|state| match state.ring.at(position) {
            Ok(Some(chunk)) => Next::Chunk(chunk),
            Ok(None) => {
                let (marks, settled) = state.ring.settled();
                if settled == position && self.is_new(marks) { Next::Marks(marks) } else { Next::Nothing }
            }
            Err(_) if state.ring.has_gap(position) => Next::End(End::Gap),
            Err(_) => Next::End(End::Behind),
        })
    }

    /// Whether all of a chunk is wanted.
    fn wants_all(&self, chunk: &Chunk) -> bool {
        self.filter.is_all() && chunk.step > self.step && chunk.first >= self.charts
    }

    fn wants(&self, part: &Part, chunk: &Chunk) -> bool {
        let is_new = match part.kind {
            Kind::Neighbours => chunk.step > self.step,
            Kind::Chart => chunk.first >= self.charts,
        };
        is_new && self.filter.wants(part.kind, part.track)
    }

    /// Whether marks say more than those before.
    fn is_new(&self, marks: Marks) -> bool {
        let has_begun = marks.as_of().is_some() && marks.graph.is_none_or(|graph| graph >= self.step);
        has_begun && self.told.is_none_or(|told| marks.graph > told.graph || marks.charts > told.charts)
    }

    /// Tells how far it is.
    async fn mark(
        &mut self,
        marks: Marks,
        position: u64,
        to: &mpsc::Sender<Bytes>,
        news: &mut watch::Receiver<bool>,
    ) -> Result<(), End> {
        let Some(epoch) = marks.as_of().filter(|_| self.is_new(marks)) else { return Ok(()) };
        self.told = Some(marks);
        let epoch_of = |epoch: u64| json!({"epoch": epoch});
        let data = json!({"as_of": AsOf::new(epoch), "graph": marks.graph.map(epoch_of), "charts": epoch_of(marks.charts)});
        let text = format!("id: {}-{position}\nevent: progress\ndata: {data}\n\n", self.shared.instance);
        self.hand(text.into(), position, to, news).await
    }

    /// Hands text over once there is room for it, unless the buffer leaves the position behind before.
    pub(super) async fn hand(
        &self,
        text: Bytes,
        position: u64,
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
                    if let Next::End(end) = self.next(position) {
                        return Err(end);
                    }
                }
            }
        }
    }

    /// Waits for news; says that it is there if there are none for long.
    async fn wait(
        &self,
        position: u64,
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
            () = tokio::time::sleep(heartbeat) => self.hand(Bytes::from_static(b":\n\n"), position, to, news).await,
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
