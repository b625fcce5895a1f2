//! The REST API: routes, and what is around every one of them (request id, readiness, errors, metrics).
//!
//! No route rejects: a filter that does not match is simply not the route, and what matches none is told so
//! by [`nothing`]. So every error has the same shape and carries the request's id.

mod body;
mod changes;
pub mod charts;
mod events;
mod page;
mod playlists;
mod problem;
mod recommendations;
mod schema;
mod seeds;
pub mod show;
mod state;
mod tokens;
mod tracks;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use percent_encoding::percent_decode_str;
use problem::Problem;
use segue_dataflow::query::{Answer, Question};
use serde::Serialize;
use show::AsOf;
use warp::Filter;
use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderMap, HeaderValue, Method, Response};
use warp::hyper::body::Bytes;

use crate::metrics;
use crate::service::Service;

/// Longest request id of a client's own that is taken over.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// A response, its body whole.
pub type Reply = Response<Bytes>;
/// What a handler gives.
pub type Outcome = Result<Reply, Problem>;

/// What every handler is given.
#[derive(Clone)]
pub struct Context {
    /// The running server.
    pub service: Arc<Service>,
    /// The request's id: the client's own, or a new one.
    pub request_id: String,
}

impl Context {
    /// Whether all that was on the log at the start is included.
    pub fn caught_up(&self) -> Result<(), Problem> {
        let problem = || Problem::later("catching_up", "the log is still being read; see /readyz");
        if self.service.is_caught_up() { Ok(()) } else { Err(problem()) }
    }

    /// Asks as-of the present, once all that was on the log at the start is included.
    pub async fn ask(&self, kind: &'static str, question: Question) -> Result<Answer, Problem> {
        self.caught_up()?;
        let started = Instant::now();
        let answer = self.service.ask(question).await?;
        metrics::answered(kind, started.elapsed());
        Ok(answer)
    }

    async fn reply(self, outcome: impl Future<Output = Outcome>) -> Reply {
        self.respond(outcome).await
    }

    /// A response, whatever its body is made of.
    async fn respond<B: From<Bytes>>(
        self,
        outcome: impl Future<Output = Result<Response<B>, Problem>>,
    ) -> Response<B> {
        let mut reply =
            outcome.await.unwrap_or_else(|problem| problem.respond(&self.request_id).map(B::from));
        metrics::replied(reply.status().as_u16());
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            reply.headers_mut().insert("x-request-id", id);
        }
        reply
    }
}

/// All routes.
pub fn routes(
    service: Arc<Service>,
) -> impl Filter<Extract = (warp::reply::Response,), Error = Infallible> + Clone + Send + Sync {
    let context = context(Arc::clone(&service));
    let changes = warp::path!("v1" / "changes").and(warp::get()).and(context).and(query());
    changes
        .and(warp::header::headers_cloned())
        .then(|context: Context, query: Query, headers: HeaderMap| {
            context.clone().respond(async move { changes::get(&context, &query, &headers).await })
        })
        .or(whole(service).map(|reply: Reply| reply.map(Into::into)))
        .unify()
}

/// All routes whose answer is whole.
fn whole(service: Arc<Service>) -> impl Filter<Extract = (Reply,), Error = Infallible> + Clone + Send + Sync {
    let context = context(service);
    let get = || warp::get().and(context.clone()).and(query());
    let post =
        || warp::post().and(context.clone()).and(warp::header::headers_cloned()).and(warp::body::stream());
    let v1 = |name: &'static str| warp::path("v1").and(warp::path(name));

    let events = v1("events").and(warp::path::end()).and(post());
    let schema = v1("events").and(warp::path("schema")).and(warp::path::end()).and(get());
    let recommendations = v1("recommendations").and(warp::path::end()).and(post());
    let token = v1("tokens").and(warp::path::param::<String>()).and(warp::path::end()).and(get());
    let playlists = v1("playlists").and(warp::path::tail()).and(get());
    let tracks = v1("tracks").and(warp::path::tail()).and(get());
    let popular = v1("charts").and(warp::path("popular")).and(warp::path::end()).and(get());
    let trending = v1("charts").and(warp::path("trending")).and(warp::path::end()).and(get());
    let state = v1("state").and(warp::path::end()).and(get());
    let page = warp::path::end().map(|| page::File::Page);
    let style = warp::path!("page.css").map(|| page::File::Style);
    let script = warp::path!("page.js").map(|| page::File::Script);
    let page = page.or(style).unify().or(script).unify().and(get());

    events
        .then(|context: Context, headers: HeaderMap, body| {
            context.clone().reply(async move { events::post(&context, &headers, body).await })
        })
        .or(recommendations.then(|context: Context, headers: HeaderMap, body| {
            context.clone().reply(async move { recommendations::post(&context, &headers, body).await })
        }))
        .unify()
        .or(schema.then(|context: Context, query: Query| context.reply(async move { schema::get(&query) })))
        .unify()
        .or(token.then(|token: String, context: Context, query: Query| {
            context.clone().reply(async move { tokens::get(&context, &token, &query).await })
        }))
        .unify()
        .or(playlists.then(|tail: warp::path::Tail, context: Context, query: Query| {
            context.clone().reply(async move { playlists::get(&context, tail.as_str(), &query).await })
        }))
        .unify()
        .or(tracks.then(|tail: warp::path::Tail, context: Context, query: Query| {
            context.clone().reply(async move { tracks::get(&context, tail.as_str(), &query).await })
        }))
        .unify()
        .or(popular.then(|context: Context, query: Query| {
            context.clone().reply(async move { charts::popular(&context, &query).await })
        }))
        .unify()
        .or(trending.then(|context: Context, query: Query| {
            context.clone().reply(async move { charts::trending(&context, &query).await })
        }))
        .unify()
        .or(state.then(|context: Context, query: Query| {
            context.clone().reply(async move { state::get(&context, &query).await })
        }))
        .unify()
        .or(page
            .then(|file, context: Context, _query: Query| context.reply(async move { Ok(page::get(file)) })))
        .unify()
        .or(nothing(context.clone()))
        .unify()
}

/// What is none of the routes: the method is wrong, or the path.
fn nothing(
    context: impl Filter<Extract = (Context,), Error = Infallible> + Clone + Send + Sync,
) -> impl Filter<Extract = (Reply,), Error = Infallible> + Clone + Send + Sync {
    context.and(warp::method()).and(warp::path::full()).then(
        |context: Context, method: Method, path: warp::path::FullPath| {
            let path = path.as_str().to_owned();
            context.reply(async move {
                let allow = match path.trim_end_matches('/') {
                    "/v1/events" | "/v1/recommendations" => "POST",
                    ""
                    | "/page.css"
                    | "/page.js"
                    | "/v1/changes"
                    | "/v1/events/schema"
                    | "/v1/charts/popular"
                    | "/v1/charts/trending"
                    | "/v1/state" => "GET",
                    path if ["/v1/tokens/", "/v1/playlists/", "/v1/tracks/"]
                        .iter()
                        .any(|p| path.starts_with(p)) =>
                    {
                        "GET"
                    }
                    _ => return Err(Problem::unknown("route", &path)),
                };
                if method == allow {
                    Err(Problem::unknown("route", &path))
                } else {
                    Err(Problem::method(allow))
                }
            })
        },
    )
}

fn context(
    service: Arc<Service>,
) -> impl Filter<Extract = (Context,), Error = Infallible> + Clone + Send + Sync {
    warp::header::headers_cloned().map(move |headers: HeaderMap| {
        let own = headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let sane = |id: &&str| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX;
        let request_id = own.filter(sane).map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned);
        Context { service: Arc::clone(&service), request_id }
    })
}

/// The query string, as names and values. Unknown names are refused, so that a typo is not an answer to
/// another question.
pub struct Query(Vec<(String, String)>);

fn query() -> impl Filter<Extract = (Query,), Error = Infallible> + Clone + Send + Sync {
    let raw = warp::query::raw().or(warp::any().map(String::new)).unify();
    raw.map(|raw: String| {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(k, v)| (decoded(k), decoded(v)))
                .collect(),
        )
    })
}

impl Query {
    /// All values of a name, in their order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(there, _)| there == name).map(|(_, value)| value.as_str())
    }

    /// The last value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// A whole number in a range, or its default.
    pub fn number(
        &self,
        name: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, Problem> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let refused = || {
            let detail =
                format!("{name} is {text:?}, not a whole number from {} to {}", range.start(), range.end());
            Problem::bad(&"out_of_range", name, detail)
        };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(refused)
    }

    /// True or false; false if nothing is said.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        let Some(text) = self.get(name) else { return Ok(false) };
        let refused = || Problem::bad(&"wrong_type", name, format!("{name} is {text:?}, not true or false"));
        text.parse().map_err(|_| refused())
    }

    /// Refuses names other than these.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                Err(Problem::bad(&"unknown_parameter", name, format!("parameter {name:?} is not known here")))
            }
            None => Ok(()),
        }
    }
}

/// Percent-decoded; what is no UTF-8 then becomes U+FFFD and so an unknown name.
pub fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// 200 with a JSON body that carries `as_of`.
pub fn ok(epoch: u64, body: impl Serialize) -> Outcome {
    json(200, &Dated { as_of: AsOf::new(epoch), body })
}

#[derive(Serialize)]
struct Dated<B> {
    as_of: AsOf,
    #[serde(flatten)]
    body: B,
}

/// Any status with a JSON body.
pub fn json(status: u16, body: &impl Serialize) -> Outcome {
    let body = serde_json::to_vec(body).map_err(|e| {
        Problem::new(warp::http::StatusCode::INTERNAL_SERVER_ERROR, &"internal", e.to_string())
    })?;
    let mut reply = Response::new(Bytes::from(body));
    *reply.status_mut() = warp::http::StatusCode::from_u16(status).unwrap_or_default();
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(reply)
}
