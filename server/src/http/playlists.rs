//! `GET /v1/playlists/{uri}` and `…/recommendations`. The URI comes as it is, with or without escapes.

use segue_dataflow::ids::PlaylistId;
use segue_dataflow::query::{Body, Question, Recommend, Seeds};
use serde_json::{Value, json};

use super::problem::Problem;
use super::seeds::{LIMIT_DEFAULT, LIMIT_MAX};
use super::{Context, Outcome, Query, decoded, ok, show};

/// A playlist as it stands, or what goes with it.
pub async fn get(context: &Context, tail: &str, query: &Query) -> Outcome {
    match tail.strip_suffix("/recommendations") {
        Some(uri) => recommendations(context, &decoded(uri), query).await,
        None => playlist(context, &decoded(tail), query).await,
    }
}

async fn playlist(context: &Context, uri: &str, query: &Query) -> Outcome {
    query.only(&[])?;
    let answer = context.ask("playlist", Question::Playlist(PlaylistId::of(uri))).await?;
    let Body::Playlist(Some(found)) = answer.body else { return Err(Problem::unknown("playlist", uri)) };
    let tracks: Vec<_> = found.tracks.iter().map(show::Track::new).collect();
    ok(answer.as_of, json!({"playlist": show::PlaylistCard::new(&found.playlist), "tracks": tracks}))
}

async fn recommendations(context: &Context, uri: &str, query: &Query) -> Outcome {
    query.only(&["limit", "explain"])?;
    let limit = query.number("limit", LIMIT_DEFAULT, 1..=LIMIT_MAX)? as usize;
    let explain = query.flag("explain")?;
    let wanted = Recommend { explain, ..Recommend::new(Seeds::Playlist(PlaylistId::of(uri)), limit) };
    let answer = context.ask("recommend", Question::Recommend(wanted)).await?;
    let Body::Recommendations(Some(found)) = answer.body else {
        return Err(Problem::unknown("playlist", uri));
    };
    let none: [Value; 0] = [];
    ok(answer.as_of, json!({"recommendations": show::recommendations(&found.tracks), "unknown_seeds": none}))
}
