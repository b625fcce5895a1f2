//! The body of a request for recommendations, checked: every refusal names the field.

use segue_dataflow::event::ID_BYTES_MAX;
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::{Recommend, Seeds};
use segue_dataflow::title;
use serde::Deserialize;

use super::problem::Problem;

/// Recommendations that one request may ask for.
pub const LIMIT_MAX: u64 = 1_000;
/// How many it gets if it does not say.
pub const LIMIT_DEFAULT: u64 = 100;
/// Seeds that one request may name.
const SEEDS_MAX: usize = 500;
/// Tracks that one request may exclude.
const EXCLUDE_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(default)]
    seeds: Vec<String>,
    title: Option<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    random_seeds: bool,
    #[serde(default = "limit_default")]
    limit: serde_json::Number,
    max_per_artist: Option<serde_json::Number>,
    #[serde(default)]
    explain: bool,
}

fn limit_default() -> serde_json::Number {
    LIMIT_DEFAULT.into()
}

/// The question, and its seeds as they were named.
pub fn parse(body: &[u8]) -> Result<(Recommend, Vec<String>), Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let wire: Wire = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let (code, field) = match e.inner().is_data() {
            true => ("wrong_type", e.path().to_string()),
            false => ("malformed_json", String::new()),
        };
        let field = if field == "." { "" } else { &field };
        Problem::bad(&code, field, format!("the body is not understood: {}", e.inner()))
    })?;
    json.end()
        .map_err(|e| Problem::bad(&"malformed_json", "", format!("the body is not understood: {e}")))?;
    let too_many = |field: &str, there: usize, most: usize| {
        Problem::bad(&"out_of_range", field, format!("{field} has {there} tracks, at most {most} are taken"))
    };
    if wire.seeds.len() > SEEDS_MAX {
        return Err(too_many("seeds", wire.seeds.len(), SEEDS_MAX));
    }
    if wire.exclude.len() > EXCLUDE_MAX {
        return Err(too_many("exclude", wire.exclude.len(), EXCLUDE_MAX));
    }
    let number = |field: &str, value: &serde_json::Number| {
        value.as_u64().filter(|value| (1..=LIMIT_MAX).contains(value)).ok_or_else(|| {
            let detail = format!("{field} is {value}, not a whole number from 1 to {LIMIT_MAX}");
            Problem::bad(&"out_of_range", field, detail)
        })
    };
    let limit = number("limit", &wire.limit)?;
    let max_per_artist = wire.max_per_artist.as_ref().map(|max| number("max_per_artist", max)).transpose()?;
    let title = wire.title.filter(|title| !title::normalise(title).is_empty());
    if wire.seeds.is_empty() && title.is_none() {
        return Err(Problem::bad(&"missing_field", "seeds", "seeds or a title are needed"));
    }
    let seeds = Seeds::Tracks(tracks("seeds", &wire.seeds)?);
    let wanted = Recommend {
        title: title.map(String::into_boxed_str),
        random_seeds: wire.random_seeds,
        exclude: tracks("exclude", &wire.exclude)?,
        max_per_artist: max_per_artist.map(|max| max as usize),
        explain: wire.explain,
        ..Recommend::new(seeds, limit as usize)
    };
    Ok((wanted, wire.seeds))
}

fn tracks(field: &str, uris: &[String]) -> Result<Vec<TrackId>, Problem> {
    let id = |(i, uri): (usize, &String)| match uri.len() {
        0 => Err(Problem::bad(&"empty_id", &format!("{field}[{i}]"), format!("{field}[{i}] is empty"))),
        1..=ID_BYTES_MAX => Ok(TrackId::of(uri)),
        n => {
            let detail = format!("{field}[{i}] has {n} bytes, at most {ID_BYTES_MAX} are taken");
            Err(Problem::bad(&"id_too_long", &format!("{field}[{i}]"), detail))
        }
    };
    uris.iter().enumerate().map(id).collect()
}
