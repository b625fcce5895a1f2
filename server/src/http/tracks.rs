//! `GET /v1/tracks/{uri}`, `…/neighbours` and `…/with/{uri}`. URIs come as they are, with or without escapes;
//! one that has `/with/` in it needs them.

use segue_dataflow::ids::TrackId;
use segue_dataflow::query::{Body, Question};
use serde_json::json;

use super::problem::Problem;
use super::{Context, Outcome, Query, decoded, ok, show};

/// Neighbours that a request gets if it does not say.
const NEIGHBOURS_DEFAULT: u64 = 50;

/// What is known of a track, what shares playlists with it, or how it goes with another.
pub async fn get(context: &Context, tail: &str, query: &Query) -> Outcome {
    if let Some((track, with)) = tail.split_once("/with/") {
        return pair(context, &decoded(track), &decoded(with), query).await;
    }
    match tail.strip_suffix("/neighbours") {
        Some(uri) => neighbours(context, &decoded(uri), query).await,
        None => track(context, &decoded(tail), query).await,
    }
}

async fn track(context: &Context, uri: &str, query: &Query) -> Outcome {
    query.only(&[])?;
    let answer = context.ask("track", Question::Track(TrackId::of(uri))).await?;
    let Body::Track(Some(found)) = answer.body else { return Err(Problem::unknown("track", uri)) };
    ok(answer.as_of, json!({"track": show::Track::new(&found.track), "playlists": found.playlists}))
}

async fn neighbours(context: &Context, uri: &str, query: &Query) -> Outcome {
    query.only(&["limit"])?;
    let limit = query.number("limit", NEIGHBOURS_DEFAULT, 1..=1_000)? as usize;
    let question = Question::Neighbours { track: TrackId::of(uri), limit };
    let answer = context.ask("neighbours", question).await?;
    let Body::Neighbours(Some(found)) = answer.body else { return Err(Problem::unknown("track", uri)) };
    let body = json!({
        "track": show::Track::new(&found.track.track),
        "playlists": found.track.playlists,
        "sampled": found.sampled,
        // Without a row it was counted for this answer.
        "graph": {"epoch": found.graph.unwrap_or(answer.as_of)},
        "neighbours": show::neighbours(&found.neighbours),
    });
    ok(answer.as_of, body)
}

async fn pair(context: &Context, uri: &str, with: &str, query: &Query) -> Outcome {
    query.only(&[])?;
    let (track, other) = (TrackId::of(uri), TrackId::of(with));
    let answer = context.ask("pair", Question::Pair { track, with: other }).await?;
    let found = match answer.body {
        Body::Pair(Ok(found)) => found,
        Body::Pair(Err(absent)) => {
            return Err(Problem::unknown("track", if absent == track { uri } else { with }));
        }
        _ => return Err(Problem::later("no_answer", "the engine gave no pair")),
    };
    let body = json!({
        "track": show::Track::new(&found.track.track),
        "playlists": found.track.playlists,
        "with": {"track": show::Track::new(&found.with.track), "playlists": found.with.playlists},
        "shared": found.both.shared,
        "sample": {"shared": found.both.sample_shared, "of": found.both.sample},
        "similarity": found.likeness,
    });
    ok(answer.as_of, body)
}
