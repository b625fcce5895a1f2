//! Request bodies, read up to a limit of bytes and of time and no further.

use std::time::Duration;

use futures_util::{Stream, StreamExt, pin_mut};
use warp::Buf;
use warp::http::HeaderMap;
use warp::http::header::CONTENT_LENGTH;
use warp::hyper::body::Bytes;

use super::problem::Problem;

/// The whole body: refused before a byte is read if its stated length is over the limit, and while it is
/// read otherwise; given up when it takes too long to arrive.
pub async fn read<B: Buf>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
    within_ms: u64,
) -> Result<Bytes, Problem> {
    let whole = collect(headers, body, limit);
    let in_time = tokio::time::timeout(Duration::from_millis(within_ms), whole).await;
    in_time.map_err(|_| Problem::too_slow(within_ms))?
}

async fn collect<B: Buf>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
) -> Result<Bytes, Problem> {
    let stated = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|stated| stated > limit as u64) {
        return Err(Problem::too_large(limit));
    }
    let mut whole = Vec::with_capacity(stated.unwrap_or(0) as usize);
    pin_mut!(body);
    while let Some(part) = body.next().await {
        let mut part =
            part.map_err(|e| Problem::bad(&"body_cut_off", "", format!("the body broke off: {e}")))?;
        if whole.len() + part.remaining() > limit {
            return Err(Problem::too_large(limit));
        }
        while part.has_remaining() {
            let chunk = part.chunk();
            whole.extend_from_slice(chunk);
            let read = chunk.len();
            part.advance(read);
        }
    }
    Ok(whole.into())
}
