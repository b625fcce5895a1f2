//! Keeps out of the log what clients do all day: whoever leaves the change feed leaves in the middle of an answer, and
//! warp tells that as an error of the server's.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

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

/// Whether it is about one connection: what went wrong there is its client's to see.
struct HasLeft(bool);

impl Visit for HasLeft {
    fn record_debug(&mut self, _field: &Field, value: &dyn Debug) {
        self.0 |= format!("{value:?}").starts_with("server connection error");
    }
}
