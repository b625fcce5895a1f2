//! `GET /v1/tokens/{token}?wait_ms=`: whether answers include those events by now.

use std::time::Duration;

use serde_json::json;

use super::problem::Problem;
use super::{Context, Outcome, Query, ok};
use crate::token::{BadToken, Token};

/// The longest wait that one request may ask for, in milliseconds.
const WAIT_MS_MAX: u64 = 30_000;

/// Waits until the events are visible, or the time is over.
pub async fn get(context: &Context, token: &str, query: &Query) -> Outcome {
    query.only(&["wait_ms"])?;
    let wait = Duration::from_millis(query.number("wait_ms", 0, 0..=WAIT_MS_MAX)?);
    let token: Token =
        token.parse().map_err(|e: BadToken| Problem::bad(&"bad_token", "token", e.to_string()))?;
    let mut progress = context.service.progress.clone();
    // An error means that the time is over, or the server about to stop: the answer is what is so now.
    let _ = tokio::time::timeout(wait, progress.wait_for(|progress| token.is_visible(progress))).await;
    let progress = progress.borrow().clone();
    ok(progress.as_of, json!({"visible": token.is_visible(&progress)}))
}
