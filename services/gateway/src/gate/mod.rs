//! Whether a request to somebody else's application may pass. Proxies ask
//! before they hand it on; how each of them asks, the adapters know.
//!
//! Invariants: the decision is the one an RPC about the org in context gets.
//! A request that passes carries every fact, empty where there is none, so
//! that nothing a client sent by those names gets through.

mod envoy;
mod forward;

use std::{fmt::Write, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use yuantus_auth::{
    Caller, Permission,
    permission::{Access, Scope},
};
use yuantus_domain::{Error, Result};

use crate::{
    admission::{Admission, Asked},
    context::{ORG_ID, TENANT_ID},
    problem::Problem,
    request::RequestFacts,
    settings::ToStatus,
};

pub use envoy::EnvoyGate;
pub use forward::{PATH, is_gate};

const DATABASE: HeaderName = HeaderName::from_static("x-yuantus-database");
const USER: HeaderName = HeaderName::from_static("x-yuantus-user");
const ROLES: HeaderName = HeaderName::from_static("x-yuantus-roles");

/// How the gate is called where an RPC would be named.
const NAME: &str = "gate";

/// The request that a proxy asks about.
pub struct Original<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its host, without the port.
    pub host: &'a str,
    /// Its method.
    pub method: &'a Method,
}

/// Decides for proxies.
pub struct Gate {
    admission: Arc<Admission>,
    to_status: ToStatus,
}

/// The facts of a request that may pass.
pub type Facts = [(HeaderName, HeaderValue); 5];

impl Gate {
    /// Decides as `admission` does.
    pub fn new(admission: Arc<Admission>, to_status: ToStatus) -> Self {
        Self { admission, to_status }
    }

    /// Who may pass with a request, and its facts.
    pub async fn decide(
        &self,
        original: Original<'_>,
        facts: &RequestFacts,
    ) -> Result<(Arc<Caller>, Facts)> {
        let reads = matches!(*original.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let access = Access {
            permission: Permission::Member,
            scope: Scope::Org,
            names_tenant: false,
            reads,
        };
        let (headers, host) = (original.headers, original.host);
        let asked = Asked { rpc: NAME, headers, host, only_org: false };
        let caller = self.admission.admit_to(access, asked, facts).await?;
        let facts = told(&caller)?;
        Ok((caller, facts))
    }

    /// What a refused client is answered. Proxies tell 401 and 403 from
    /// failures, so what is wrong with a request is forbidden here.
    pub fn refusal(&self, error: Error) -> (StatusCode, Problem) {
        let problem = Problem::of_status(&(self.to_status)(error));
        let problem = match problem.status() {
            StatusCode::BAD_REQUEST => problem.with_status(StatusCode::FORBIDDEN),
            _ => problem,
        };
        (problem.status(), problem)
    }
}

fn told(caller: &Caller) -> Result<Facts> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(Error::internal);
    let tenant = caller.tenant.as_ref().map_or("", |tenant| tenant.as_str());
    let org = caller.org.as_ref().map_or("", |org| org.as_str());
    let database = caller.org_facts.as_ref().map_or("", |org| &*org.database);
    let user = caller.principal.as_ref().map_or("", |principal| &*principal.username);
    Ok([
        (TENANT_ID, value(tenant)?),
        (ORG_ID, value(org)?),
        (DATABASE, value(database)?),
        (USER, value(user)?),
        (ROLES, value(&roles(caller))?),
    ])
}

/// The caller's roles, in the tenant and in the org, joined by commas.
fn roles(caller: &Caller) -> String {
    let mut text = String::new();
    let own = caller.principal.iter().flat_map(|principal| &principal.roles);
    let own = own.map(|role| role.as_str());
    for role in own.chain(caller.org_roles.iter().map(String::as_str)) {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{role}");
    }
    text
}
