//! `GET /`: the page to open, and its two files. Nothing comes from elsewhere.

use warp::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use warp::http::{HeaderValue, Response};
use warp::hyper::body::Bytes;

use super::Reply;

/// What the page may do: use its own files and ask this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
#[derive(Clone, Copy)]
pub enum File {
    /// `/`
    Page,
    /// `/page.css`
    Style,
    /// `/page.js`
    Script,
}

/// This file.
pub fn get(file: File) -> Reply {
    let (kind, text) = match file {
        File::Page => ("text/html; charset=utf-8", include_str!("page/page.html")),
        File::Style => ("text/css; charset=utf-8", include_str!("page/page.css")),
        File::Script => ("text/javascript; charset=utf-8", include_str!("page/page.js")),
    };
    let mut reply = Response::new(Bytes::from_static(text.as_bytes()));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    reply
}
