//! `POST /v1/events`: one event, an array of them, or NDJSON.

use std::sync::Arc;

use futures_util::Stream;
use segue_dataflow::event::Code;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use warp::Buf;
use warp::http::HeaderMap;
use warp::http::header::CONTENT_TYPE;
use warp::hyper::body::Bytes;

use super::problem::Problem;
use super::show::AsOf;
use super::{Context, Outcome, body};
use crate::intake::{self, Taken};

/// 202 once the events are durable, whatever became of each in an array or in lines; 400 if a single one is
/// refused, or nothing can be cut into events.
pub async fn post<B: Buf>(
    context: &Context,
    headers: &HeaderMap,
    stream: impl Stream<Item = Result<B, warp::Error>>,
) -> Outcome {
    let limits = context.service.config.limits;
    let body = body::read(headers, stream, limits.body_bytes, limits.body_ms).await?;
    // After the body: a client that is still sending would not see the answer.
    let ndjson = is_ndjson(headers)?;
    let (service, name) = (Arc::clone(&context.service), context.request_id.clone());
    let _turn = context
        .service
        .appends
        .acquire()
        .await
        .map_err(|_| Problem::later("stopping", "the server is stopping"))?;
    let work = move || {
        let (items, single) = match split(&body, ndjson) {
            Ok((items, _)) if items.len() > limits.events => {
                return Ok(Err(Problem::too_many(items.len(), limits.events)));
            }
            Ok(cut) => cut,
            Err((code, detail)) => {
                intake::refuse(&service, &name, code, &detail, &body)?;
                return Ok(Err(Problem::bad(&code, "", detail)));
            }
        };
        intake::take(&service, "http", &name, &items).map(|taken| Ok((taken, single)))
    };
    let taken = tokio::task::spawn_blocking(work).await;
    let taken = taken.map_err(|_| Problem::later("stopping", "the server is stopping"))?;
    let (Taken { accepted, rejected, token }, single) = taken.map_err(Problem::from)??;
    let list: Vec<Value> = rejected
        .iter()
        .map(|(index, r)| json!({"index": index, "code": r.code, "field": r.field, "detail": r.detail}))
        .collect();
    match rejected.first() {
        Some((_, first)) if single => Err(Problem::bad(&first.code, &first.field, &*first.detail)
            .with("accepted", json!(0))
            .with("rejected", json!(list))),
        _ => {
            // Answers may not include the events yet: that is what the token is for.
            let as_of = AsOf::new(context.service.progress.borrow().as_of);
            let body =
                json!({"accepted": accepted, "rejected": list, "token": token.to_string(), "as_of": as_of});
            super::json(202, &body)
        }
    }
}

/// Whether the body is lines of JSON; if not, it is JSON, also where that is not said.
fn is_ndjson(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(said) = headers.get(CONTENT_TYPE) else { return Ok(false) };
    let said = String::from_utf8_lossy(said.as_bytes());
    let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*kind {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(true),
        // The last is what curl says of any data.
        "" | "application/json" | "application/x-www-form-urlencoded" => Ok(false),
        kind if kind.ends_with("+json") => Ok(false),
        _ => Err(Problem::media_type(&said, &["application/json", "application/x-ndjson"])),
    }
}

/// Cuts a body into what should be events, without a copy of the bytes; also whether it is a single one.
fn split(body: &Bytes, ndjson: bool) -> Result<(Vec<Bytes>, bool), (Code, String)> {
    let array = !ndjson && body.trim_ascii_start().first() == Some(&b'[');
    let items: Vec<Bytes> = if ndjson {
        let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        lines.filter(|line| !line.is_empty()).map(|line| body.slice_ref(line)).collect()
    } else if array {
        let text = std::str::from_utf8(body).map_err(|e| {
            (Code::NotUtf8, format!("the array is not UTF-8 from byte {} on", e.valid_up_to()))
        })?;
        let items: Vec<&RawValue> = serde_json::from_str(text)
            .map_err(|e| (Code::MalformedJson, format!("the body is not a JSON array of events: {e}")))?;
        items.into_iter().map(|item| body.slice_ref(item.get().as_bytes())).collect()
    } else {
        vec![body.slice_ref(body.trim_ascii())]
    };
    match items.iter().all(|item| item.is_empty()) {
        true => Err((
            Code::MalformedJson,
            "the body has no event; send a JSON object, an array of them, or NDJSON".into(),
        )),
        false => Ok((items, !ndjson && !array)),
    }
}
