//! `POST /v1/recommendations`.

use futures_util::Stream;
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::{Body, Question};
use serde_json::json;
use warp::Buf;
use warp::http::HeaderMap;

use super::problem::Problem;
use super::{Context, Outcome, body, ok, seeds, show};

/// Bytes that the body may have: ten thousand exclusions and more.
const BODY_BYTES_MAX: usize = 8 << 20;

/// Recommendations for seeds or a title.
pub async fn post<B: Buf>(
    context: &Context,
    headers: &HeaderMap,
    stream: impl Stream<Item = Result<B, warp::Error>>,
) -> Outcome {
    let body = body::read(headers, stream, BODY_BYTES_MAX, context.service.config.limits.body_ms).await?;
    let (wanted, named) = seeds::parse(&body)?;
    let answer = context.ask("recommend", Question::Recommend(wanted)).await?;
    let Body::Recommendations(Some(found)) = answer.body else {
        return Err(Problem::later("no_answer", "the engine gave no recommendations"));
    };
    let unknown = |uri: &&String| found.unknown_seeds.contains(&TrackId::of(uri));
    let unknown_seeds: Vec<&String> = named.iter().filter(unknown).collect();
    ok(
        answer.as_of,
        json!({"recommendations": show::recommendations(&found.tracks), "unknown_seeds": unknown_seeds}),
    )
}
