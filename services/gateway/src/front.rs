//! One request from its first header to its answer.

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::body::{Body, HttpBody};
use futures::FutureExt;
use http::{HeaderValue, Method, Request, Response, header};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::{Instrument, Span, error, field::display};
use yuantus_auth::Caller;

use crate::{
    admission::Admission,
    answer::{About, Answer},
    fixed::Fixed,
    grpc, headers,
    problem::Problem,
    request::RequestFacts,
    routes::RouteTable,
    services::RestServices,
    settings::ToStatus,
};

/// Everything requests are answered from.
pub struct Front {
    /// The authentication layer.
    pub admission: Admission,
    /// gRPC.
    pub grpc: Routes,
    /// REST.
    pub rest: RestServices,
    /// Which RPC a REST request is.
    pub routes: RouteTable,
    /// What is neither: health and OpenAPI.
    pub fixed: Fixed,
    /// How our own refusals become statuses.
    pub to_status: ToStatus,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// Cancelled when the process is to stop.
    pub stopping: CancellationToken,
}

/// A response, and what is to be known about it.
pub struct Reply {
    /// The response.
    pub response: Response<Body>,
    /// The caller, where one was admitted.
    pub caller: Option<Arc<Caller>>,
    /// Whether it answers a probe.
    pub quiet: bool,
}

impl Reply {
    /// A refusal: nobody was admitted.
    pub fn refused(response: Response<Body>) -> Self {
        Self { response, caller: None, quiet: false }
    }

    /// What was done for `caller`.
    pub fn served(response: Response<Body>, caller: Arc<Caller>) -> Self {
        Self { response, caller: Some(caller), quiet: false }
    }
}

impl Front {
    /// Answers a request of the client at `client`.
    pub async fn handle(&self, request: Request<Body>, client: IpAddr) -> Response<Body> {
        let facts = RequestFacts::new(&request, client);
        let head = request.method() == Method::HEAD;
        let span = facts.span.clone();
        let dispatched = AssertUnwindSafe(self.dispatch(request, &facts)).catch_unwind();
        let Reply { mut response, caller, quiet } =
            dispatched.instrument(span.clone()).await.unwrap_or_else(|_| {
                span.in_scope(|| error!("the handler of a request panicked"));
                Reply::refused(panicked(&facts))
            });
        headers::finish(response.headers_mut(), &facts.request_id);
        if head && !facts.grpc {
            response = without_body(response);
        }
        Answer::wrap(response, About { facts, caller, quiet }, self.stopping.clone())
    }

    async fn dispatch(&self, request: Request<Body>, facts: &RequestFacts) -> Reply {
        if facts.grpc {
            return self.call_grpc(request, facts).await;
        }
        let (method, path) = (request.method(), request.uri().path());
        match self.fixed.answer(method, path, request.headers()).await {
            Some(answer) => {
                let response =
                    answer.unwrap_or_else(|problem| problem.into_response(&facts.request_id));
                Reply { response, caller: None, quiet: true }
            }
            None => self.call_rest(request, facts).await,
        }
    }
}

/// Names the caller in the log lines of the request.
pub fn record_caller(caller: &Caller) {
    if let Some(principal) = &caller.principal {
        let span = Span::current();
        span.record("caller", display(principal.display_name()));
        if !principal.is_platform() {
            span.record("tenant_id", principal.tenant.as_str());
        }
    }
}

fn panicked(facts: &RequestFacts) -> Response<Body> {
    if facts.grpc {
        return grpc::panicked();
    }
    Problem::panicked().into_response(&facts.request_id)
}

/// The answer to `HEAD`: the headers that `GET` would have had.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}
