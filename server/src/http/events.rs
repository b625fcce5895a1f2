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

/// 202 once the events are durable; 400 if not one of them was an event.
pub async fn post<B: Buf>(
    context: &Context,
    headers: &HeaderMap,
    stream: impl Stream<Item = Result<B, warp::Error>>,
) -> Outcome {
    let limits = context.service.config.limits;
    let body = body::read(headers, stream, limits.body_bytes, limits.body_ms).await?;
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (service, name, ndjson) =
        (Arc::clone(&context.service), context.request_id.clone(), kind.contains("ndjson"));
    let _turn = context
        .service
        .appends
        .acquire()
        .await
        .map_err(|_| Problem::later("stopping", "the server is stopping"))?;
    let work = move || {
        let items = match split(&body, ndjson) {
            Ok(items) if items.len() > limits.events => {
                return Ok(Err(Problem::too_many(items.len(), limits.events)));
            }
            Ok(items) => items,
            Err((code, detail)) => {
                intake::refuse(&service, &name, code, &detail, &body)?;
                return Ok(Err(Problem::bad(&code, "", detail)));
            }
        };
        intake::take(&service, "http", &name, &items).map(Ok)
    };
    let taken = tokio::task::spawn_blocking(work).await;
    let taken = taken.map_err(|_| Problem::later("stopping", "the server is stopping"))?;
    let Taken { accepted, rejected, token } = taken.map_err(Problem::from)??;
    let list: Vec<Value> = rejected
        .iter()
        .map(|(index, r)| json!({"index": index, "code": r.code, "field": r.field, "detail": r.detail}))
        .collect();
    match rejected.first() {
        Some((_, first)) if accepted == 0 => Err(Problem::bad(&first.code, &first.field, &*first.detail)
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

/// Cuts a body into what should be events, without a copy of the bytes.
fn split(body: &Bytes, ndjson: bool) -> Result<Vec<Bytes>, (Code, String)> {
    let items: Vec<Bytes> = if ndjson {
        let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        lines.filter(|line| !line.is_empty()).map(|line| body.slice_ref(line)).collect()
    } else if body.trim_ascii_start().first() == Some(&b'[') {
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
        false => Ok(items),
    }
}
