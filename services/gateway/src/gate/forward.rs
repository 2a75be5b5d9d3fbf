//! nginx's `auth_request` and Traefik's ForwardAuth: the proxy asks with the
//! headers of the original request, and says in `X-Forwarded-*` or
//! `X-Original-*` which one that was.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderName, Method, Response, Uri};
use yuantus_auth::Caller;
use yuantus_domain::{Error, Result};

use super::{Facts, Gate, Original};
use crate::{front::Reply, hosts, request::RequestFacts};

const HOSTS: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-host"), HeaderName::from_static("x-original-host")];
const METHODS: [HeaderName; 2] =
    [HeaderName::from_static("x-forwarded-method"), HeaderName::from_static("x-original-method")];

/// Where proxies ask.
pub const PATH: &str = "/authz/http";

/// Whether proxies ask at this path.
pub fn is_gate(path: &str) -> bool {
    path == PATH
}

impl Gate {
    /// Answers 200 with the facts, or why the request may not pass.
    pub async fn answer(&self, uri: &Uri, headers: &HeaderMap, facts: &RequestFacts) -> Reply {
        match self.forwarded(uri, headers, facts).await {
            Ok((caller, passed)) => Reply::passed(pass(passed), caller),
            Err(error) => Reply::refused(self.refusal(error).1.into_response(&facts.request_id)),
        }
    }

    async fn forwarded(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        facts: &RequestFacts,
    ) -> Result<(Arc<Caller>, Facts)> {
        let host = match one_of(headers, &HOSTS)? {
            Some(host) => hosts::name(host),
            None => hosts::of(uri, headers),
        };
        let method = match one_of(headers, &METHODS)? {
            Some(method) => Method::from_bytes(method.as_bytes())
                .map_err(|_| Error::invalid("x-forwarded-method", "must be a method"))?,
            // Not told: it may be one that changes something.
            None => Method::POST,
        };
        self.decide(Original { headers, host, method: &method }, facts).await
    }
}

fn pass(facts: Facts) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().extend(facts);
    response
}

/// The value of the first of these headers that is there.
fn one_of<'a>(headers: &'a HeaderMap, names: &[HeaderName]) -> Result<Option<&'a str>> {
    for name in names {
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Err(Error::invalid(name.as_str(), "must be given once"));
        }
        let text = value.to_str().map_err(|_| Error::invalid(name.as_str(), "must be ASCII"))?;
        if text.contains(',') {
            return Err(Error::invalid(name.as_str(), "must be one"));
        }
        if !text.is_empty() {
            return Ok(Some(text));
        }
    }
    Ok(None)
}
