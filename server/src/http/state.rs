//! `GET /v1/state`: how much is there, and the digest that tells whether two states are equal.

use segue_dataflow::query::{Body, Question};
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::{Context, Outcome, Query, ok};

/// The state as a whole. Its offsets are those that the digest includes: no more, no less.
pub async fn get(context: &Context, query: &Query) -> Outcome {
    query.only(&[])?;
    let answer = context.ask("state", Question::State).await?;
    let Body::State(state) = answer.body else {
        return Err(Problem::later("no_answer", "the engine gave no state"));
    };
    let next = |partition: u32| answer.next.get(partition as usize).copied().unwrap_or(0);
    let partitions = 0..context.service.log.partitions();
    let offsets: Map<String, Value> = partitions.map(|p| (p.to_string(), json!(next(p)))).collect();
    let dead_letters = context.service.dead_letters.count()?;
    let mut shown = json!({
        "playlists": state.playlists,
        "entries": state.entries,
        "tracks": state.tracks,
        "digest": state.digest.to_string(),
        "offsets": offsets,
        "dead_letters": dead_letters,
        "version": env!("CARGO_PKG_VERSION"),
    });
    if let Some(report) = context.service.prequential.report() {
        shown["prequential"] = json!(report);
    }
    ok(answer.as_of, shown)
}
