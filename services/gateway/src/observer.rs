//! Telling somebody of every request that was answered, for the audit trail.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, Response};
use tonic::Status;
use yuantus_auth::{Caller, Principal};

/// Hears of every request. It is called on the way out of the answer: it must
/// not wait for anything.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A request was answered, or its client went away.
    fn answered(&self, answered: Answered<'_>);

    /// A request of somebody else's may not pass, which was asked in another
    /// one and is its answer: that one is told of by itself.
    fn refused(&self, answered: Answered<'_>);
}

/// A request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The HTTP status; what the gRPC status is in HTTP.
    pub status: u16,
    /// How long it took.
    pub duration: Duration,
    /// What was wrong; empty where nothing was.
    pub error: &'a str,
    /// The caller, where one was admitted.
    pub caller: Option<&'a Arc<Caller>>,
    /// Who the token was of, where one was refused all the same.
    pub refused: Option<&'a Principal>,
    /// The request's id.
    pub request_id: &'a str,
    /// The address the connection came from.
    pub client_ip: &'a str,
    /// The `User-Agent` header.
    pub user_agent: &'a str,
}

/// What was wrong, carried with a response to who observes it.
#[derive(Clone, Debug)]
pub struct Wrong(pub String);

/// What was wrong, as a response says it; empty where nothing was.
pub fn wrong(response: &Response<impl Sized>) -> String {
    match response.extensions().get::<Wrong>() {
        Some(Wrong(text)) => text.clone(),
        None => grpc_message(response.headers()),
    }
}

/// The message of a gRPC status among headers or trailers.
pub fn grpc_message(headers: &HeaderMap) -> String {
    Status::from_header_map(headers).map(|status| status.message().to_owned()).unwrap_or_default()
}
