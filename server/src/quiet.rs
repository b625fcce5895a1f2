//! Keeps out of the log what clients do all day: whoever leaves the change feed leaves in the middle of an answer, and
//! warp tells that as an error of the server's. What else goes wrong on a connection is told.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// What hyper and the system say of a connection whose client is gone: warp has them as text only.
const LEFT: [&str; 7] = [
    "IncompleteMessage",
    "UnexpectedEof",
    "ConnectionReset",
    "ConnectionAborted",
    "BrokenPipe",
    "NotConnected",
    "TimedOut",
];

/// Passes everything on but that.
pub struct Quiet;

impl<S: Subscriber> Layer<S> for Quiet {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let mut left = HasLeft(false);
        if event.metadata().target().starts_with("warp::") {
            event.record(&mut left);
        }
        !left.0
    }
}

/// Whether it is about one connection, and that its client has left.
struct HasLeft(bool);

impl Visit for HasLeft {
    fn record_debug(&mut self, _field: &Field, value: &dyn Debug) {
        let said = format!("{value:?}");
        let why = said.strip_prefix("server connection error: ");
        self.0 |= why.is_some_and(|why| LEFT.iter().any(|left| why.contains(left)));
    }
}
