//! `GET /`: the page to open, one file without anything from elsewhere.

use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderValue, Response};
use warp::hyper::body::Bytes;

use super::Reply;

const PAGE: &str = include_str!("page.html");

/// The page.
pub fn get() -> Reply {
    let mut reply = Response::new(Bytes::from_static(PAGE.as_bytes()));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    reply
}
