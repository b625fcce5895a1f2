//! `GET /v1/charts/popular`.

use segue_dataflow::query::{Body, Question};
use serde_json::json;

use super::problem::Problem;
use super::seeds::{LIMIT_DEFAULT, LIMIT_MAX};
use super::{Context, Outcome, Query, ok, show};

/// The tracks that most playlists hold.
pub async fn popular(context: &Context, query: &Query) -> Outcome {
    query.only(&["limit"])?;
    let limit = query.number("limit", LIMIT_DEFAULT, 1..=LIMIT_MAX)? as usize;
    let answer = context.ask("popular", Question::Popular { limit }).await?;
    let Body::Popular(chart) = answer.body else {
        return Err(Problem::later("no_answer", "the engine gave no chart"));
    };
    ok(answer.as_of, json!({"chart": show::chart(&chart)}))
}
