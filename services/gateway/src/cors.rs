//! Which other origins' pages may read our answers.
//!
//! Invariant: nobody's may unless the configuration says so, a preflight is
//! answered before anybody is authenticated and reaches no handler, and
//! cookies are never allowed to every origin at once.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tonic::Code;

use crate::problem::Problem;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// What pages may send.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, accept, idempotency-key, if-none-match, x-api-key, \
     x-request-id, x-tenant-id, x-org-id",
);
/// What pages may read, besides what browsers always show.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "allow, content-disposition, etag, location, retry-after, www-authenticate, x-request-id",
);
/// Ten minutes: as long as the most cautious browser keeps it.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("access-control-request-method, access-control-request-headers");

/// The origins that may.
pub struct Cors {
    origins: Vec<HeaderValue>,
    every: bool,
}

impl Cors {
    /// Lets these in; `*` is every one. What no header can hold is no origin.
    pub fn new(origins: &[String]) -> Self {
        let every = origins.iter().any(|origin| origin == "*");
        let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
        Self { origins: origins.collect(), every }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.every || self.origins.contains(origin)
    }

    /// The answer to a preflight; `None` where the request is none.
    pub fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<Result<Response<Body>, Problem>> {
        let origin = headers.get(header::ORIGIN)?;
        if method != Method::OPTIONS
            || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            || (self.origins.is_empty() && !self.every)
        {
            return None;
        }
        if !self.allows(origin) {
            let detail = "pages of this origin may not read answers: server.cors_origins";
            let status = StatusCode::FORBIDDEN;
            let reason = "ORIGIN_NOT_ALLOWED";
            return Some(Err(Problem::new(status, Code::PermissionDenied, reason, detail)));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        answer.append(header::VARY, VARY_PREFLIGHT);
        Some(Ok(response))
    }

    /// Says on an answer to a request of `origin` whether its pages may read it.
    pub fn finish(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.every {
            if origin.is_some() {
                let every = HeaderValue::from_static("*");
                answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, every);
                answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            }
            return;
        }
        if self.origins.is_empty() {
            return;
        }
        answer.append(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin.filter(|origin| self.allows(origin)) else {
            return;
        };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}
