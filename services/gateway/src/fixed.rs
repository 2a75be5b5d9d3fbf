//! The paths that are no RPC: health, the OpenAPI document and the page to
//! read it with. They need no token.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use yuantus_domain::{OrgId, OrgKey, TenantId};

use crate::{
    docs,
    health::{Health, bounded},
    openapi::DOCUMENT,
    problem::Problem,
};

/// The paths of health and the document.
pub const PATHS: [&str; 7] = [
    "/healthz",
    "/readyz",
    "/api/health",
    "/api/v1/health",
    "/api/v1/health/ready",
    "/api/v1/health/deps",
    "/api/v1/openapi.json",
];

/// Answers the fixed paths.
pub struct Fixed {
    /// Probes.
    pub health: Arc<dyn Health>,
    /// Whether audit is enabled.
    pub audit_enabled: bool,
    /// Cancelled when the process is to stop: it is not ready then.
    pub stopping: CancellationToken,
}

/// What a fixed path is answered.
pub type Answered = Result<Response<Body>, Problem>;

impl Fixed {
    /// The path as we write it; `None` where it is not one of ours.
    pub fn path(path: &str) -> Option<&'static str> {
        PATHS.iter().chain(&docs::PATHS).copied().find(|known| *known == path)
    }

    /// The answer at one of our paths.
    pub async fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Answered {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Problem::method_not_allowed(&["GET"]));
        }
        match path {
            "/healthz" => Ok(text("text/plain", "ok")),
            "/api/v1/openapi.json" => Ok(openapi()),
            "/api/health" | "/api/v1/health" => self.about(headers),
            "/api/v1/health/deps" => self.dependencies(headers).await,
            "/readyz" | "/api/v1/health/ready" => self.ready().await,
            page => Ok(docs::answer(page, headers)),
        }
    }

    fn about(&self, headers: &HeaderMap) -> Answered {
        let (tenant, org) = context(headers)?;
        Ok(json(&json!({
            "ok": true,
            "service": "yuantus",
            "version": env!("CARGO_PKG_VERSION"),
            "tenant_id": tenant,
            "org_id": org,
            "tenancy_mode": "db-per-tenant-org",
            "schema_mode": "migrations",
            "audit_enabled": self.audit_enabled,
        })))
    }

    async fn ready(&self) -> Answered {
        let unready = |reason, detail: &str| {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, Code::Unavailable, reason, detail)
                .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
        };
        if self.stopping.is_cancelled() {
            return Err(unready("STOPPING", "the server is stopping"));
        }
        match bounded(self.health.identity_database()).await {
            Ok(()) => Ok(json(&match self.health.clock_offset() {
                None => json!({"ok": true}),
                Some(offset) => json!({"ok": true, "clock_offset_seconds": offset}),
            })),
            Err(error) => Err(unready("IDENTITY_DATABASE", &format!("identity database: {error}"))),
        }
    }

    async fn dependencies(&self, headers: &HeaderMap) -> Answered {
        let (tenant, org) = context(headers)?;
        let key = tenant.zip(org).map(|(tenant, org)| OrgKey { tenant, org });
        let (database, identity, storage) = futures::join!(
            bounded(self.health.database(key.as_ref())),
            bounded(self.health.identity_database()),
            bounded(self.health.storage()),
        );
        let ok = database.is_ok() && identity.is_ok() && storage.is_ok();
        let facts = self.health.storage_facts();
        let mut storage = dependency(storage);
        storage["type"] = "s3".into();
        storage["bucket"] = facts.bucket.into();
        storage["endpoint_url"] = facts.endpoint_url.into();
        Ok(json(&json!({
            "ok": ok,
            "deps": {
                "db": dependency(database),
                "identity_db": dependency(identity),
                "storage": storage,
            },
            "external": {},
        })))
    }
}

fn dependency(probed: Result<(), String>) -> Value {
    match probed {
        Ok(()) => json!({"ok": true}),
        Err(error) => json!({"ok": false, "error": error}),
    }
}

/// The tenant and org of the headers, where they are given.
fn context(headers: &HeaderMap) -> Result<(Option<TenantId>, Option<OrgId>), Problem> {
    let given = |name: &'static str| {
        let value = headers.get(name).filter(|value| !value.is_empty())?;
        Some(value.to_str().unwrap_or("?"))
    };
    let tenant = given("x-tenant-id").map(|id| TenantId::parse("x-tenant-id", id)).transpose();
    let org = given("x-org-id").map(|id| OrgId::parse("x-org-id", id)).transpose();
    Ok((tenant.map_err(invalid)?, org.map_err(invalid)?))
}

fn invalid(error: yuantus_domain::Error) -> Problem {
    let field = match &error {
        yuantus_domain::Error::InvalidArgument { field, .. } => Some(field.clone()),
        _ => None,
    };
    let status = StatusCode::BAD_REQUEST;
    Problem::new(status, Code::InvalidArgument, error.reason(), error.to_string()).field(field)
}

/// The same for everybody: it may be cached.
fn openapi() -> Response<Body> {
    let mut response = respond("application/json", Body::from(DOCUMENT.json.clone()));
    let cacheable = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(header::CACHE_CONTROL, cacheable);
    if let Some(tag) = DOCUMENT.tag.clone() {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn json(value: &Value) -> Response<Body> {
    respond("application/json", Body::from(value.to_string()))
}

fn text(content_type: &'static str, text: &'static str) -> Response<Body> {
    respond(content_type, Body::from(text))
}

fn respond(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
