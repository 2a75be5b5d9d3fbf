//! REST: the same RPCs as JSON.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures::TryStreamExt;
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rest_over_grpc::transcoding::{StreamingResponse, TranscodeResponse};
use tonic::Code;
use tracing::warn;
use yuantus_auth::caller::CALLER;

use crate::{
    access::PLATFORM,
    adapters::{self, Ask, Asked},
    admission, conditional,
    front::{Front, Reply, record_caller},
    headers, hosts, kinds, nulls, numbers,
    problem::Problem,
    request::RequestFacts,
    rest_error,
    routes::Found,
    services::{RestCall, max_body},
    upload,
};

impl Front {
    /// Calls the RPC that the path was found to be, if the caller may.
    pub(crate) async fn call_rest(
        &self,
        request: Request<Body>,
        found: Found,
        facts: &RequestFacts,
    ) -> Reply {
        let refused = |problem: Problem| problem.into_response(&facts.request_id);
        let refuse = |problem: Problem| Reply::refused(refused(problem));
        let (route, captured) = match found {
            Found::Rpc(route, captured) => (route, captured),
            Found::OtherMethods(methods) => return refuse(Problem::method_not_allowed(&methods)),
            Found::Nothing => return refuse(Problem::not_found()),
        };
        facts.what.set(route.rpc).ok();
        let host = hosts::of(request.uri(), request.headers());
        if route.template.starts_with(PLATFORM) && !self.admission.serves_platform_at(host) {
            return refuse(not_platforms());
        }
        // The CRM of runbooks 002 and 003 has no orgs.
        let only_org = !route.template.starts_with("/api/v1/");
        let headers = request.headers();
        let asked = admission::Asked { rpc: route.rpc, headers, host, only_org };
        let caller = match self.admission.admit(asked, facts).await {
            Ok(caller) => caller,
            Err(error) => return refuse(Problem::of_status(&(self.to_status)(error))),
        };
        record_caller(&facts.span, &caller);
        for (name, value) in &captured {
            // Names that are no field of the span are passed over.
            facts.span.record(*name, value.as_str());
        }
        if !self.platform_admin && is_platform_admins(route.template) {
            return refuse(platform_admin_disabled());
        }
        let (parts, body) = request.into_parts();
        if route.rpc == upload::RPC {
            let answered = self.upload(&parts.headers, body, Arc::clone(&caller)).await;
            return Reply::served(answered.unwrap_or_else(refused), caller);
        }
        if parts.method == Method::POST && parts.uri.query().is_some_and(|query| !query.is_empty())
        {
            return refuse(query_beside_body());
        }
        let body = match self.read_body(&parts, body, max_body(route.rpc)).await {
            Ok(body) => body,
            Err(problem) => return refuse(problem),
        };
        if let Some(adapter) = adapters::of(route) {
            let captured = &captured[..];
            let asked = Asked { adapter, parts: &parts, captured, body, caller: &caller };
            let ask = Ask { front: self, facts, asked };
            let answered = CALLER.scope(Arc::clone(&caller), (adapter.run)(&ask)).await;
            return Reply::served(answered.unwrap_or_else(refused), caller);
        }
        let readable = matches!(parts.method, Method::GET | Method::HEAD);
        let (uri, body) = (parts.uri.clone(), nulls::without(body));
        let call = (self.rest)(rest_call(parts, body.clone()));
        let answered = match CALLER.scope(Arc::clone(&caller), call).await {
            Some(TranscodeResponse::Unary(answer)) if !answer.status().is_success() => {
                let find = || {
                    let wrong = kinds::check(route, &uri, &body).err()?;
                    Some(Problem::of_status(&(self.to_status)(wrong)))
                };
                return Reply::served(refused(rest_error::problem(answer.body(), find)), caller);
            }
            answered => answered,
        };
        Reply::served(respond(answered, route.rpc, readable, &facts.request_id), caller)
    }

    async fn read_body(&self, parts: &Parts, body: Body, most: usize) -> Result<Bytes, Problem> {
        if matches!(parts.method, Method::GET | Method::HEAD) {
            return Ok(Bytes::new());
        }
        if body.size_hint().lower() > most as u64 {
            return Err(too_large(most));
        }
        let read = Limited::new(body, most).collect();
        let collected = tokio::time::timeout(self.body_timeout, read).await;
        let collected = collected.map_err(|_| Problem::body_timed_out())?;
        let body = match collected {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large(most)),
            Err(_) => return Err(Problem::body_cut_off()),
        };
        if !body.is_empty() && !headers::is_json(&parts.headers) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let detail = "bodies must be application/json in UTF-8";
            return Err(Problem::new(status, Code::InvalidArgument, "NOT_JSON", detail));
        }
        Ok(body)
    }
}

/// What of runbook 004 creates and lists tenants.
fn is_platform_admins(template: &str) -> bool {
    let rest = template.strip_prefix("/api/v1/admin/tenants");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn platform_admin_disabled() -> Problem {
    let status = StatusCode::FORBIDDEN;
    let (reason, detail) = ("PLATFORM_ADMIN_DISABLED", "Platform admin disabled");
    Problem::new(status, Code::PermissionDenied, reason, detail)
}

fn not_platforms() -> Problem {
    let detail = "this is served at the platform's hosts only";
    Problem::new(StatusCode::FORBIDDEN, Code::PermissionDenied, "NOT_A_PLATFORM_HOST", detail)
}

/// A parameter would win over the body's field, and be written to the logs of
/// every proxy.
fn query_beside_body() -> Problem {
    let detail = "this method takes no query parameters: its fields are in the body";
    Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, "QUERY_BESIDE_BODY", detail)
}

fn too_large(most: usize) -> Problem {
    let detail = format!("the body is larger than {} MiB", most >> 20);
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Problem::new(status, Code::ResourceExhausted, "BODY_TOO_LARGE", detail)
}

/// What handlers see: not the token, and `GET` where `HEAD` was asked.
fn rest_call(parts: Parts, body: Bytes) -> RestCall {
    let mut headers: HeaderMap = parts.headers;
    headers::remove_credential(&mut headers);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let verb = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    RestCall { verb: verb.as_str().to_owned(), target: target.to_owned(), headers, body }
}

/// The answer of an RPC that did not refuse; `readable` is whether the request
/// changed nothing.
fn respond(
    answered: Option<TranscodeResponse>,
    rpc: &str,
    readable: bool,
    request_id: &str,
) -> Response<Body> {
    match answered {
        None => Problem::not_found().into_response(request_id),
        Some(TranscodeResponse::Streaming(stream)) => respond_stream(stream),
        Some(TranscodeResponse::Unary(answer)) => {
            let mut response = answer.into_http().map(|body| numbers::plain(rpc, body));
            if let Some(tag) = readable.then(|| conditional::tag(response.body())).flatten() {
                response.headers_mut().insert(header::ETAG, tag);
            }
            response.map(Body::from)
        }
    }
}

/// Frames as they come. The status has been sent: an error cuts the body off.
fn respond_stream(stream: StreamingResponse) -> Response<Body> {
    let (content_type, headers, frames) = stream.into_parts();
    let frames = frames.map_ok(Bytes::from).inspect_err(|status| {
        warn!(code = %status.code(), detail = status.message(), "a stream of an answer failed");
    });
    let mut response = Response::new(Body::from_stream(frames));
    *response.headers_mut() = headers;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
