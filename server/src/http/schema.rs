//! `GET /v1/events/schema`: the JSON Schema of the events, as it stands in `docs/`.

use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderValue, Response};
use warp::hyper::body::Bytes;

use super::{Outcome, Query};

/// The schema.
const SCHEMA: &str = include_str!("../../../docs/events.schema.json");

/// The schema. It depends on nothing, so it carries no `as_of`.
pub fn get(query: &Query) -> Outcome {
    query.only(&[])?;
    let mut reply = Response::new(Bytes::from_static(SCHEMA.as_bytes()));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/schema+json"));
    Ok(reply)
}
