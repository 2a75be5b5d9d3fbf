//! gRPC: the path is the RPC.

#![expect(
    clippy::disallowed_methods,
    reason = "the protocol's own refusals have no domain error behind them"
)]

use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use tonic::Status;
use tower::ServiceExt;
use yuantus_auth::caller::CALLER;

use crate::{
    admission::Asked,
    front::{Front, Reply, record_caller},
    headers, hosts, metrics,
    problem::TIMED_OUT,
    request::RequestFacts,
};

impl Front {
    /// Calls the RPC, if there is one and the caller may.
    pub(crate) async fn call_grpc(
        &self,
        mut request: Request<Body>,
        facts: &RequestFacts,
    ) -> Reply {
        let rpc = request.uri().path().to_owned();
        if !self.admission.knows(&rpc) {
            return Reply::refused(unimplemented());
        }
        facts.what.set(metrics::named(&rpc)).ok();
        let host = hosts::of(request.uri(), request.headers());
        let headers = request.headers();
        let asked = Asked { rpc: &rpc, headers, host, only_org: false };
        let caller = match self.admission.admit(asked, facts).await {
            Ok(caller) => caller,
            Err(error) => return Reply::refused((self.to_status)(error).into_http()),
        };
        record_caller(&facts.span, &caller);
        headers::remove_credential(request.headers_mut());
        let router = self.grpc.clone().into_axum_router();
        let call = CALLER.scope(Arc::clone(&caller), router.oneshot(request));
        let response = match call.await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        Reply::served(response, caller)
    }
}

fn unimplemented() -> Response<Body> {
    Status::unimplemented("there is no such method").into_http()
}

/// The answer to a request that took too long.
pub fn timed_out() -> Response<Body> {
    Status::deadline_exceeded(TIMED_OUT).into_http()
}

/// The answer of a handler that panicked.
pub fn panicked() -> Response<Body> {
    Status::internal("internal error").into_http()
}
