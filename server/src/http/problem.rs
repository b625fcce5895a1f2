//! Problems: every error the API gives, as `application/problem+json` (RFC 9457).

use serde_json::{Map, Value, json};
use warp::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use warp::http::{HeaderValue, Response, StatusCode};
use warp::hyper::body::Bytes;

use crate::service::NoAnswer;

/// One error, on its way to the client.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Default)]
struct Parts {
    status: StatusCode,
    code: String,
    detail: String,
    field: Option<String>,
    retry_after_s: Option<u32>,
    allow: Option<&'static str>,
    extra: Map<String, Value>,
}

impl Problem {
    /// An error with a code for programs and a sentence for people.
    pub fn new(status: StatusCode, code: &impl ToString, detail: impl Into<String>) -> Self {
        let (code, detail) = (code.to_string(), detail.into());
        Problem(Box::new(Parts { status, code, detail, ..Parts::default() }))
    }

    /// Wrong input, in this field.
    pub fn bad(code: &impl ToString, field: &str, detail: impl Into<String>) -> Self {
        let mut problem = Problem::new(StatusCode::BAD_REQUEST, code, detail);
        problem.0.field = Some(field.to_owned()).filter(|field| !field.is_empty());
        problem
    }

    /// There is no such thing.
    pub fn unknown(what: &str, uri: &str) -> Self {
        Problem::new(
            StatusCode::NOT_FOUND,
            &format!("unknown_{what}"),
            format!("{what} {uri:?} is not there"),
        )
    }

    /// Not now.
    pub fn later(code: &str, detail: impl Into<String>) -> Self {
        let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, &code, detail);
        problem.0.retry_after_s = Some(1);
        problem
    }

    /// Too many events.
    pub fn too_many(events: usize, limit: usize) -> Self {
        let detail = format!("the body has {events} events, at most {limit} are taken; send them in parts");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, &"too_many_events", detail)
    }

    /// Too many bytes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the body has more than {limit} bytes; send it in parts");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, &"body_too_large", detail)
    }

    /// A body of another type than these.
    pub fn media_type(there: &str, known: &[&str]) -> Self {
        let detail = format!("content type {there:?} is not taken here; send {}", known.join(" or "));
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, &"unsupported_media_type", detail)
    }

    /// The body did not arrive in time.
    pub fn too_slow(within_ms: u64) -> Self {
        let detail = format!("the body did not arrive within {within_ms} ms; nothing of it was taken");
        Problem::new(StatusCode::REQUEST_TIMEOUT, &"body_too_slow", detail)
    }

    /// The path is there, but not for this method.
    pub fn method(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow}");
        let mut problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, &"method_not_allowed", detail);
        problem.0.allow = Some(allow);
        problem
    }

    /// Adds a member of our own.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.extra.insert(name.to_owned(), value);
        self
    }

    /// As a response.
    pub fn respond(self, request_id: &str) -> Response<Bytes> {
        let Parts { status, code, detail, field, retry_after_s, allow, extra: mut body } = *self.0;
        body.insert("type".into(), json!(format!("urn:segue:problem:{}", code)));
        body.insert("title".into(), json!(status.canonical_reason()));
        body.insert("status".into(), json!(status.as_u16()));
        body.insert("detail".into(), json!(detail));
        body.insert("code".into(), json!(code));
        body.insert("request_id".into(), json!(request_id));
        if let Some(field) = field {
            body.insert("field".into(), json!(field));
        }
        let mut response = Response::new(Bytes::from(Value::Object(body).to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        retry_after_s.map(|seconds| headers.insert(RETRY_AFTER, seconds.into()));
        allow.map(|allow| headers.insert(ALLOW, HeaderValue::from_static(allow)));
        response
    }
}

impl From<NoAnswer> for Problem {
    fn from(error: NoAnswer) -> Self {
        let code = match error {
            NoAnswer::Busy => "busy",
            NoAnswer::Stopping => "stopping",
            NoAnswer::TimedOut => "timed_out",
        };
        Problem::later(code, error.to_string())
    }
}

impl From<segue_connectors::log::Error> for Problem {
    fn from(error: segue_connectors::log::Error) -> Self {
        use segue_connectors::log::Error;
        let code = match &error {
            Error::NotAppended { .. } => "not_appended",
            Error::MaybeAppended { .. } => "maybe_appended",
            Error::Closed => "stopping",
            // 503 and not 507: whoever balances or tries again knows it, and it is the server that is out of
            // order, not the request. The detail says why, a full disk for one.
            Error::Unwritable { .. } => "log_unwritable",
            _ => "log_unavailable",
        };
        Problem::later(code, error.to_string())
    }
}
