//! `GET /v1/changes`: server-sent events of rows and charts as they change.

use std::convert::Infallible;

use futures_util::stream::poll_fn;
use segue_dataflow::ids::TrackId;
use segue_dataflow::query::{Body, Question};
use warp::Reply;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;

use super::problem::Problem;
use super::{Context, Query};
use crate::feed::{Filter, Kind, Refused};

/// Tracks that one reader may ask for: more are as good as all.
const TRACKS_MAX: usize = 100;

/// Everything that changes from now on, or after the event that the reader had last, or after all that is there.
pub async fn get(context: &Context, query: &Query, headers: &HeaderMap) -> Result<Response, Problem> {
    query.only(&["track", "kind", "from", "last_event_id"])?;
    let whole = match query.get("from") {
        None => false,
        Some("start") => true,
        Some(from) => {
            return Err(Problem::bad(&"wrong_value", "from", format!("from is {from:?}, not start")));
        }
    };
    let kind = match query.get("kind") {
        None => None,
        Some(kind) => {
            Some([Kind::Neighbours, Kind::Chart].into_iter().find(|known| known.name() == kind).ok_or_else(
                || {
                    Problem::bad(
                        &"wrong_value",
                        "kind",
                        format!("kind is {kind:?}, neither neighbours nor chart"),
                    )
                },
            )?)
        }
    };
    let tracks: Vec<&str> = query.all("track").collect();
    if tracks.len() > TRACKS_MAX {
        let detail = format!("{} tracks are asked for, at most {TRACKS_MAX} can be", tracks.len());
        return Err(Problem::bad(&"out_of_range", "track", detail));
    }
    // Where there is one, it is newer than what the address says.
    let last = headers.get("last-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let last = last.as_deref().or(query.get("last_event_id")).filter(|id| !id.is_empty());
    context.caught_up()?;
    let mut filter = Filter { kind, ..Filter::default() };
    for uri in tracks {
        let track = TrackId::of(uri);
        // Who goes on may do so for a track that is gone by now.
        if last.is_none() {
            let answer = context.ask("track", Question::Track(track)).await?;
            let Body::Track(Some(_)) = answer.body else { return Err(Problem::unknown("track", uri)) };
        }
        filter.tracks.insert(track);
    }
    let service = &context.service;
    let reader = service.feed.read(filter, last, whole)?;
    let mut events = reader.start();
    let stream = poll_fn(move |task| events.poll_recv(task).map(|text| text.map(Ok::<_, Infallible>)));
    let mut response = warp::reply::stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Or nginx would keep it back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::TooMany(_) => Problem::later("too_many_readers", detail),
            Refused::Stopping => Problem::later("stopping", detail),
            Refused::Malformed(_) => Problem::bad(&"malformed_id", "last_event_id", detail),
            Refused::Gone(_) => Problem::new(StatusCode::GONE, &"not_kept", detail),
        }
    }
}
