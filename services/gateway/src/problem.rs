//! Problem documents: how REST says that something went wrong.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use tonic::{Code, Status};

use crate::{observer::Wrong, status_code, status_details::StatusDetails};

/// What who asked for too much is told.
pub const TIMED_OUT: &str = "the request was given up: it took too long";

const CONTENT_TYPE: &str = "application/problem+json";

/// An error answer, still without the request's id.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: Code,
    reason: String,
    detail: String,
    field: Option<String>,
    header: Option<(header::HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    reason: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Problem {
    /// A problem of HTTP itself.
    pub fn new(status: StatusCode, code: Code, reason: &str, detail: impl Into<String>) -> Self {
        let (reason, detail) = (reason.to_owned(), detail.into());
        Self { status, code, reason, detail, field: None, header: None }
    }

    /// The problem a service reported. What is our failure is not described.
    pub fn of_service(code: Code, message: &str, details: StatusDetails) -> Self {
        let status = status_code::http_status(code);
        let reason = details.reason.unwrap_or_else(|| status_code::name(code).to_owned());
        let detail = match code {
            Code::Internal | Code::Unknown | Code::DataLoss => "internal error",
            _ => message,
        };
        let mut problem = Self::new(status, code, &reason, detail);
        problem.field = details.field;
        match status {
            StatusCode::UNAUTHORIZED => problem.header(header::WWW_AUTHENTICATE, challenge()),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                let seconds = seconds_up(details.retry_after.unwrap_or(Duration::from_secs(1)));
                problem.header(header::RETRY_AFTER, HeaderValue::from(seconds))
            }
            _ => problem,
        }
    }

    /// The problem a status is.
    pub fn of_status(status: &Status) -> Self {
        let details = StatusDetails::decode(status.details());
        Self::of_service(status.code(), status.message(), details)
    }

    /// Nothing is at this path.
    pub fn not_found() -> Self {
        let detail = "there is nothing at this path";
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, "NO_SUCH_ROUTE", detail)
    }

    /// The path is there, the method is not.
    pub fn method_not_allowed(methods: &[&str]) -> Self {
        let mut allowed = methods.to_vec();
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        let allowed = allowed.join(", ");
        let detail = format!("this path has {allowed}");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let problem = Self::new(status, Code::Unimplemented, "METHOD_NOT_ALLOWED", detail);
        match HeaderValue::try_from(allowed) {
            Ok(allowed) => problem.header(header::ALLOW, allowed),
            Err(_) => problem,
        }
    }

    /// The body was not sent in time.
    pub fn body_timed_out() -> Self {
        let detail = "the body did not arrive in time";
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::new(status, Code::DeadlineExceeded, "BODY_TIMEOUT", detail)
    }

    /// The body was not sent whole.
    pub fn body_cut_off() -> Self {
        let detail = "the body was cut off";
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, "BAD_BODY", detail)
    }

    /// The request took too long.
    pub fn timed_out() -> Self {
        let status = StatusCode::GATEWAY_TIMEOUT;
        Self::new(status, Code::DeadlineExceeded, "REQUEST_TIMEOUT", TIMED_OUT)
    }

    /// The handler panicked.
    pub fn panicked() -> Self {
        Self::of_service(Code::Internal, "", StatusDetails::default())
    }

    /// Names the field that breaks a rule.
    pub fn field(mut self, field: Option<String>) -> Self {
        self.field = field;
        self
    }

    /// Sends a header with it.
    pub fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The same of a field that the client knows by another name.
    pub fn renamed(mut self, from: &str, to: &str) -> Self {
        if self.field.as_deref() == Some(from) {
            self.field = Some(to.to_owned());
            if let Some(rule) = self.detail.strip_prefix(from) {
                self.detail = format!("{to}{rule}");
            }
        }
        self
    }

    /// Whether it is this field that breaks a rule.
    pub fn is_about(&self, field: &str) -> bool {
        self.field.as_deref() == Some(field)
    }

    /// The stable word for programs.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The same problem under another HTTP status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// What happened, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The headers of its answer, as text.
    pub fn headers(&self) -> impl Iterator<Item = (&str, String)> {
        let own = self
            .header
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.to_owned())));
        own.chain([(header::CONTENT_TYPE.as_str(), CONTENT_TYPE.to_owned())])
    }

    /// The document.
    pub fn body(&self, request_id: &str) -> String {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: status_code::name(self.code),
            reason: &self.reason,
            request_id,
            field: self.field.as_deref(),
        };
        // Strings and a number: this cannot fail.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// The answer.
    pub fn into_response(self, request_id: &str) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body(request_id)));
        *response.status_mut() = self.status;
        let problem = HeaderValue::from_static(CONTENT_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        response.extensions_mut().insert(Wrong(self.detail));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

fn challenge() -> HeaderValue {
    HeaderValue::from_static("Bearer realm=\"yuantus\"")
}

fn seconds_up(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}
