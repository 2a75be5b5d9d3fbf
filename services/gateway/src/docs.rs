//! The page to read the OpenAPI document with, at `/docs`: Redoc, vendored.
//!
//! Invariant: the page asks nobody but this server for anything.

use std::io::Read;

use axum::body::Body;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Response, header};

use crate::compress::accepts_gzip;

const PAGE: &str = include_str!("../assets/docs/index.html");
const STYLE: &str = include_str!("../assets/docs/docs.css");
const START: &str = include_str!("../assets/docs/docs.js");
/// Compressed: nearly everybody takes it as it is.
const REDOC: &[u8] = include_bytes!("../assets/docs/redoc.standalone.js.gz");

/// Redoc styles what it makes, and searches in a worker that it makes.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The paths of the page and of what it is made of.
pub const PATHS: [&str; 4] = ["/docs", "/docs/docs.css", "/docs/docs.js", "/docs/redoc.js"];

/// The answer to one of [`PATHS`].
pub fn answer(path: &str, request: &HeaderMap) -> Response<Body> {
    match path {
        "/docs/docs.css" => respond("text/css; charset=utf-8", Body::from(STYLE)),
        "/docs/docs.js" => respond("text/javascript; charset=utf-8", Body::from(START)),
        "/docs/redoc.js" => redoc(request),
        _ => {
            let mut page = respond("text/html; charset=utf-8", Body::from(PAGE));
            page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
            page
        }
    }
}

fn redoc(request: &HeaderMap) -> Response<Body> {
    let mut response = respond("text/javascript; charset=utf-8", Body::from(REDOC));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if accepts_gzip(request) {
        return response;
    }
    let mut plain = Vec::new();
    // A test reads it whole: it is gzip.
    if GzDecoder::new(REDOC).read_to_end(&mut plain).is_ok() {
        headers.remove(header::CONTENT_ENCODING);
        *response.body_mut() = Body::from(plain);
    }
    response
}

fn respond(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, AN_HOUR);
    response
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Of the file as it was published; `assets/docs/README.md` says which.
    const PUBLISHED: &str = "dcaf76612bc4a3fbcc923a8966dee2f6146a5f32e5ce1b6f02dd60cbbf89500b";

    #[test]
    fn what_is_vendored_is_what_was_published() {
        let mut plain = Vec::new();
        GzDecoder::new(REDOC).read_to_end(&mut plain).unwrap();
        let sum: String = Sha256::digest(&plain).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(sum, PUBLISHED);
        assert!(include_str!("../assets/docs/README.md").contains(PUBLISHED));
    }

    #[test]
    fn the_page_names_no_other_server() {
        for text in [PAGE, STYLE, START] {
            assert!(!text.contains("//") || !text.contains("http"), "{text}");
        }
    }
}
