//! What is known about a request before anybody looked into it.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use http::{HeaderMap, Method, Request, header};
use tracing::{Span, field::Empty, info_span};
use yuantus_auth::Principal;

use crate::{connection::Peer, headers, proxies::Proxies};

/// A request's facts, for its caller, its log lines and its answer.
#[derive(Debug)]
pub struct RequestFacts {
    /// The HTTP method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// Whose token was refused, where it was one's.
    pub refused: OnceLock<Principal>,
    /// The client's id or ours.
    pub request_id: String,
    /// The address the request came from.
    pub client_ip: Arc<str>,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// When it came.
    pub begun: Instant,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether it is answered as gRPC.
    pub grpc: bool,
    /// What it turned out to be: gRPC's path of an RPC, or a path of ours.
    pub what: OnceLock<&'static str>,
    /// Covers everything that happens for it.
    pub span: Span,
}

impl RequestFacts {
    /// Reads them; the query and all other headers stay out of the logs.
    /// `grpc` is whether the request is answered as gRPC.
    pub fn new<B>(request: &Request<B>, peer: &Peer, proxies: &Proxies, grpc: bool) -> Self {
        let headers: &HeaderMap = request.headers();
        let request_id = headers::request_id(headers);
        let span = info_span!(
            "request",
            request_id,
            method = request.method().as_str(),
            path = request.uri().path(),
            tenant_id = Empty,
            org_id = Empty,
            operation_id = Empty,
            caller = Empty,
            client_certificate = peer.certificate.as_deref(),
        );
        let source = proxies.source(peer.address, headers);
        let client_ip = match source == peer.address {
            true => Arc::clone(&peer.text),
            false => source.to_string().into(),
        };
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            refused: OnceLock::new(),
            client_ip,
            user_agent: headers::text(headers, header::USER_AGENT).to_owned(),
            begun: Instant::now(),
            tls: peer.tls,
            grpc,
            what: OnceLock::new(),
            request_id,
            span,
        }
    }
}
