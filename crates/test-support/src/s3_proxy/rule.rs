//! Which requests are meddled with, and how.

use std::{fmt, ops::Range};

use http::{HeaderMap, Method, StatusCode};

/// A request as the proxy saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path, such as `/bucket/key`.
    pub path: String,
    /// Its query; empty where there is none.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// It is answered with an error of S3, and not passed on.
    Refuse(StatusCode, &'static str),
    /// One bit of the answer's body is flipped: another one each time.
    FlipAnswer,
    /// One bit of the request's body is flipped on its way.
    FlipRequest,
}

/// Meddles with the requests that match, or with some of them.
pub struct Rule {
    matches: Box<dyn Fn(&Seen) -> bool + Send + Sync>,
    action: Action,
    hits: Range<u64>,
    matched: u64,
}

impl Rule {
    /// Does `action` to every request that matches.
    pub fn new(matches: impl Fn(&Seen) -> bool + Send + Sync + 'static, action: Action) -> Self {
        Self { matches: Box::new(matches), action, hits: 0..u64::MAX, matched: 0 }
    }

    /// Refuses every request, as a server does whose answer to all is the same.
    pub fn refuse_all(status: StatusCode, code: &'static str) -> Self {
        Self::new(|_| true, Action::Refuse(status, code))
    }

    /// Only to the n-th of them, from 0 on.
    pub fn at(self, hits: Range<u64>) -> Self {
        Self { hits, ..self }
    }

    /// Only to the first of them.
    pub fn once(self) -> Self {
        self.at(0..1)
    }

    /// What is to be done to this request, and the number of the hit.
    pub(super) fn apply(&mut self, seen: &Seen) -> Option<(Action, u64)> {
        if !(self.matches)(seen) {
            return None;
        }
        let number = self.matched;
        self.matched += 1;
        self.hits.contains(&number).then(|| (self.action.clone(), number))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, hits, matched, .. } = self;
        write!(f, "{action:?} at {hits:?}, matched {matched} times")
    }
}

impl Seen {
    /// Whether it reads an object whose key has `part` in it.
    pub fn reads(&self, part: &str) -> bool {
        self.method == Method::GET && self.path.contains(part)
    }

    /// Whether it writes an object whose key has `part` in it.
    pub fn writes(&self, part: &str) -> bool {
        self.method == Method::PUT && self.path.contains(part)
    }

    /// Whether it is a `DeleteObjects`.
    pub fn deletes_many(&self) -> bool {
        self.method == Method::POST && self.query.split('&').any(|pair| pair.starts_with("delete"))
    }

    /// Whether it has what servers that are not AWS refuse: a body in signed chunks, or one of the
    /// newer checksums.
    pub fn has_checksum(&self) -> bool {
        let encoding = self.headers.get("content-encoding").and_then(|value| value.to_str().ok());
        let mut names = self.headers.keys().map(http::HeaderName::as_str);
        encoding.is_some_and(|value| value.contains("aws-chunked"))
            || names.any(|name| {
                name.starts_with("x-amz-checksum-")
                    || name == "x-amz-trailer"
                    || name == "x-amz-sdk-checksum-algorithm"
            })
    }
}
