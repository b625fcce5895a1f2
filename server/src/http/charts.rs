//! `GET /v1/charts/popular`, `GET /v1/charts/trending`.

use segue_dataflow::query::{Body, Question};
use serde_json::json;

use super::problem::Problem;
use super::seeds::{LIMIT_DEFAULT, LIMIT_MAX};
use super::{Context, Outcome, Query, ok, show};
use crate::config::Config;

/// Days of the window if the request does not say.
const DAYS_DEFAULT: u16 = 7;

/// Days of the window at the most: the one before it must be kept as well.
fn days_max(config: &Config) -> u16 {
    config.trending.keep_days / 2
}

/// Days of the window if nothing is said.
pub fn days(config: &Config) -> u16 {
    DAYS_DEFAULT.min(days_max(config))
}

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

/// The tracks whose additions have grown most, from the days before the last `days` to those.
pub async fn trending(context: &Context, query: &Query) -> Outcome {
    query.only(&["days", "limit"])?;
    let limit = query.number("limit", LIMIT_DEFAULT, 1..=LIMIT_MAX)? as usize;
    let config = &context.service.config;
    let days = query.number("days", days(config).into(), 1..=days_max(config).into())? as u16;
    let answer = context.ask("trending", Question::Trending { days, limit }).await?;
    let Body::Trending(found) = answer.body else {
        return Err(Problem::later("no_answer", "the engine gave no chart"));
    };
    ok(
        answer.as_of,
        json!({"days": days, "through": show::date(found.through), "chart": show::trending(&found)}),
    )
}
