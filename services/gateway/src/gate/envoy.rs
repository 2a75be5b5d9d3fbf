//! Envoy's `ext_authz` over gRPC, v3.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use tonic::{Code, Request, Response, Status};
use tracing::Span;
use yuantus_auth::caller;
use yuantus_domain::{Error, Result};
use yuantus_proto::envoy::{
    self, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption, HttpStatus,
    OkHttpResponse, attribute_context::HttpRequest, authorization_server::Authorization,
    check_response::HttpResponse, header_value_option::HeaderAppendAction,
};

use super::{Facts, Gate, Original};
use crate::{
    hosts,
    observer::{Answered, Observer},
    problem::Problem,
    request::RequestFacts,
};

/// Answers Envoy.
#[derive(Clone)]
pub struct EnvoyGate {
    /// Decides.
    pub gate: Arc<Gate>,
    /// Who is told of refusals: to gRPC they are answers like others.
    pub observer: Option<Arc<dyn Observer>>,
}

#[tonic::async_trait]
impl Authorization for EnvoyGate {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> std::result::Result<Response<CheckResponse>, Status> {
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let request = attributes.request.and_then(|request| request.http).unwrap_or_default();
        let facts = facts();
        let answer = match self.decide(&request, &facts).await {
            Ok(passed) => allowed(passed),
            Err(error) => {
                let (status, problem) = self.gate.refusal(error);
                self.tell(&request, &facts, status, problem.detail());
                denied(status, problem, &facts.request_id)
            }
        };
        Ok(Response::new(answer))
    }
}

impl EnvoyGate {
    async fn decide(&self, request: &HttpRequest, facts: &RequestFacts) -> Result<Facts> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Error::invalid("method", "must be a method"))?;
        let headers = headers(request)?;
        let host = hosts::name(&request.host);
        let original = Original { headers: &headers, host, method: &method };
        Ok(self.gate.decide(original, facts).await?.1)
    }

    /// Tells that the request may not pass.
    fn tell(&self, request: &HttpRequest, facts: &RequestFacts, status: StatusCode, error: &str) {
        let Some(observer) = &self.observer else { return };
        // What Envoy's client sent is not what we would have taken as a request.
        let method = Method::from_bytes(request.method.as_bytes()).unwrap_or_default();
        let path = request.path.parse::<Uri>().unwrap_or_default();
        observer.refused(Answered {
            method: method.as_str(),
            path: path.path(),
            status: status.as_u16(),
            duration: facts.begun.elapsed(),
            error,
            caller: None,
            refused: facts.refused.get(),
            request_id: &facts.request_id,
            client_ip: &facts.client_ip,
            user_agent: &facts.user_agent,
        });
    }
}

/// The facts of Envoy's own request: it is what the decision is logged with.
fn facts() -> RequestFacts {
    let caller = caller::current();
    RequestFacts {
        request_id: caller.as_ref().map(|caller| caller.request_id.clone()).unwrap_or_default(),
        client_ip: caller.as_ref().map(|caller| caller.client_ip.clone()).unwrap_or_default(),
        user_agent: caller.map(|caller| caller.user_agent.clone()).unwrap_or_default(),
        method: Method::POST,
        path: String::new(),
        begun: Instant::now(),
        grpc: true,
        tls: false,
        span: Span::current(),
        refused: OnceLock::new(),
        what: OnceLock::new(),
    }
}

/// The headers of the original request; of several values of a name, all.
fn headers(request: &HttpRequest) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &[u8]| -> Result<()> {
        // Pseudo-headers are told as fields of their own.
        if name.starts_with(':') {
            return Ok(());
        }
        let invalid = |rule: &str| Error::invalid("headers", rule);
        let name = HeaderName::try_from(name).map_err(|_| invalid("hold an odd name"))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| invalid("hold an odd value"))?;
        headers.append(name, value);
        Ok(())
    };
    match &request.header_map {
        Some(map) => {
            for header in &map.headers {
                let text = header.value.as_bytes();
                let value = if header.raw_value.is_empty() { text } else { &header.raw_value };
                add(&header.key, value)?;
            }
        }
        None => {
            for (name, value) in &request.headers {
                add(name, value.as_bytes())?;
            }
        }
    }
    Ok(headers)
}

fn overwrite(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(envoy::HeaderValue { key: name.to_owned(), value, ..Default::default() }),
        append: None,
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        keep_empty_value: true,
    }
}

fn allowed(facts: Facts) -> CheckResponse {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = facts.iter().map(|(name, value)| overwrite(name.as_str(), text(value)));
    CheckResponse {
        status: Some(envoy::Status { code: Code::Ok.into(), message: String::new() }),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers: headers.collect(),
        })),
    }
}

fn denied(status: StatusCode, problem: Problem, request_id: &str) -> CheckResponse {
    let code = match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        _ => Code::PermissionDenied,
    };
    let headers = problem.headers().map(|(name, value)| overwrite(name, value));
    CheckResponse {
        status: Some(envoy::Status { code: code.into(), message: problem.detail().to_owned() }),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: i32::from(status.as_u16()) }),
            headers: headers.collect(),
            body: problem.body(request_id),
        })),
    }
}
