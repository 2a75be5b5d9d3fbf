//! One request from its first header to its answer.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::body::{Body, HttpBody};
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Code, service::Routes};
use tracing::{Instrument, Span, error, record_all, warn};
use yuantus_auth::{Caller, Principal};
use yuantus_domain::{OrgId, TenantId};

use crate::{
    admission::Admission,
    answer::{About, Answer},
    compress::{accepts_gzip, compress},
    conditional,
    connection::Peer,
    cors::Cors,
    deadline::Deadline,
    fixed::Fixed,
    gate::{self, Gate},
    grpc, headers,
    metrics::Going,
    observer::Observer,
    problem::Problem,
    proxies::Proxies,
    request::RequestFacts,
    routes::RouteTable,
    services::RestServices,
    settings::ToStatus,
    target::Target,
    upload::Uploads,
};

/// Everything requests are answered from.
pub struct Front {
    /// The authentication layer.
    pub admission: Arc<Admission>,
    /// Decides for proxies.
    pub gate: Arc<Gate>,
    /// gRPC.
    pub grpc: Routes,
    /// REST.
    pub rest: RestServices,
    /// Whether `/api/v1/admin/tenants` is served.
    pub platform_admin: bool,
    /// Takes files that are sent.
    pub uploads: Arc<dyn Uploads>,
    /// The largest file that is taken.
    pub max_file_bytes: u64,
    /// Which RPC a REST request is.
    pub routes: RouteTable,
    /// What is neither: health and OpenAPI.
    pub fixed: Fixed,
    /// How our own refusals become statuses.
    pub to_status: ToStatus,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// Which other origins' pages may read answers.
    pub cors: Cors,
    /// Which proxies are believed about where a request came from.
    pub proxies: Proxies,
    /// How long a request may take.
    pub deadline: Deadline,
    /// Who is told of every request.
    pub observer: Option<Arc<dyn Observer>>,
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

    /// What is the same for everybody, probes above all.
    fn fixed(answer: Result<Response<Body>, Problem>, facts: &RequestFacts) -> Self {
        let response = answer.unwrap_or_else(|problem| problem.into_response(&facts.request_id));
        Self { response, caller: None, quiet: true }
    }

    /// That a proxy may hand a request of `caller` on.
    pub fn passed(response: Response<Body>, caller: Arc<Caller>) -> Self {
        Self { response, caller: Some(caller), quiet: true }
    }

    /// What was done for `caller`.
    pub fn served(response: Response<Body>, caller: Arc<Caller>) -> Self {
        Self { response, caller: Some(caller), quiet: false }
    }
}

impl Front {
    /// Answers a request of `peer`.
    pub async fn handle(&self, request: Request<Body>, peer: &Peer) -> Response<Body> {
        let target = Target::of(&request, &self.routes);
        let facts = RequestFacts::new(&request, peer, &self.proxies, target.is_grpc());
        let wishes = Wishes::of(&request);
        let going = Going::request(facts.grpc);
        let limit = self.deadline.of(&request, &target);
        // What it takes to answer any request is large: it stays in one place.
        let dispatched = timeout(limit, Box::pin(self.dispatch(request, target, &facts)));
        let dispatched = async { dispatched.await.unwrap_or_else(|_| timed_out(&facts)) };
        let dispatched = AssertUnwindSafe(dispatched).catch_unwind();
        let Reply { mut response, caller, quiet } =
            dispatched.instrument(facts.span.clone()).await.unwrap_or_else(|_| {
                facts.span.in_scope(|| error!("the handler of a request panicked"));
                Reply::refused(panicked(&facts))
            });
        headers::finish(response.headers_mut(), &facts.request_id, facts.tls);
        if !facts.grpc {
            response = self.suit(response, &wishes).await;
        }
        let observer = self.observer.clone();
        let about = About { facts, caller, quiet, observer, going };
        Answer::wrap(response, about, &self.stopping)
    }

    /// The answer as the client wants it: not at all if it has it already,
    /// compressed, without its body.
    async fn suit(&self, response: Response<Body>, wishes: &Wishes) -> Response<Body> {
        let mut response = conditional::apply(&wishes.method, &wishes.headers, response);
        self.cors.finish(wishes.headers.get(header::ORIGIN), response.headers_mut());
        response = compress(accepts_gzip(&wishes.headers), response).await;
        if wishes.method == Method::HEAD { without_body(response) } else { response }
    }

    async fn dispatch(
        &self,
        request: Request<Body>,
        target: Target,
        facts: &RequestFacts,
    ) -> Reply {
        let refuse = |problem: Problem| Reply::refused(problem.into_response(&facts.request_id));
        match target {
            Target::Gate => {
                facts.what.set(gate::PATH).ok();
                self.gate.answer(request.uri(), request.headers(), facts).await
            }
            Target::Rpc => self.call_grpc(request, facts).await,
            Target::RpcByOtherMethod => refuse(Problem::method_not_allowed(&["POST"])),
            Target::RpcByOtherContent => refuse(not_grpc()),
            Target::Fixed(path) => {
                facts.what.set(path).ok();
                if let Some(answer) = self.cors.preflight(request.method(), request.headers()) {
                    return Reply::fixed(answer, facts);
                }
                let answer = self.fixed.answer(request.method(), path, request.headers()).await;
                Reply::fixed(answer, facts)
            }
            Target::Rest(found) => {
                if let Some(answer) = self.cors.preflight(request.method(), request.headers()) {
                    return Reply::fixed(answer, facts);
                }
                self.call_rest(request, found, facts).await
            }
        }
    }
}

/// As gRPC over HTTP/2 says it.
fn not_grpc() -> Problem {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let detail = "this is a method of gRPC: its requests are application/grpc";
    Problem::new(status, Code::InvalidArgument, "NOT_GRPC", detail)
}

/// What the client says about the answer it wants.
struct Wishes {
    method: Method,
    headers: HeaderMap,
}

impl Wishes {
    fn of(request: &Request<Body>) -> Self {
        let mut headers = HeaderMap::new();
        for name in [header::ORIGIN, header::ACCEPT_ENCODING, header::IF_NONE_MATCH] {
            for value in request.headers().get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        Self { method: request.method().clone(), headers }
    }
}

/// Names the caller in the log lines of the request.
pub fn record_caller(span: &Span, caller: &Caller) {
    let name = caller.principal.as_ref().map(Principal::display_name);
    record_all!(
        span,
        caller = name.as_deref(),
        tenant_id = caller.tenant.as_ref().map(TenantId::as_str),
        org_id = caller.org.as_ref().map(OrgId::as_str),
    );
}

fn timed_out(facts: &RequestFacts) -> Reply {
    warn!("a request was given up: it took too long");
    Reply::refused(if facts.grpc {
        grpc::timed_out()
    } else {
        Problem::timed_out().into_response(&facts.request_id)
    })
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
