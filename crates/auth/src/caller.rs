//! The caller of the running request.
//!
//! Invariant: handlers learn who calls from here alone. The authentication
//! layer sets it for the time of the request, its response stream included;
//! outside of a request there is none.

use std::sync::Arc;

use yuantus_domain::{Error, OrgId, OrgKey, Result, TenantId};

use crate::{
    Principal,
    tenancy::{OrgFacts, TenantFacts},
};

tokio::task_local! {
    /// The caller of the request this task serves.
    pub static CALLER: Arc<Caller>;
}

/// Who calls, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who it is; `None` on public methods called without a token.
    pub principal: Option<Principal>,
    /// The tenant the request is for: of the token, of the headers or of the
    /// host. `None` where none of them names one.
    pub tenant: Option<TenantId>,
    /// The org within that tenant, from the same sources.
    pub org: Option<OrgId>,
    /// What is known of that tenant.
    pub tenant_facts: Option<Arc<TenantFacts>>,
    /// What is known of that org and its database, where the RPC needs them.
    pub org_facts: Option<Arc<OrgFacts>>,
    /// What the caller is in that org, in the tenant's own words.
    pub org_roles: Arc<Vec<String>>,
    /// Whether a platform administrator acts within a tenant.
    pub impersonating: bool,
    /// The RPC that the caller was authorised for, as gRPC's path.
    pub rpc: String,
    /// The request's id: the client's or ours.
    pub request_id: String,
    /// The address the connection came from.
    pub client_ip: Arc<str>,
    /// The `User-Agent` header; empty where there is none.
    pub user_agent: String,
    /// The `Idempotency-Key` header, for requests whose `request_id` is empty.
    pub idempotency_key: Option<String>,
}

/// The caller of the running request; `None` outside of one.
pub fn current() -> Option<Arc<Caller>> {
    CALLER.try_with(Arc::clone).ok()
}

/// Who calls; an error where nobody is authenticated.
pub fn principal() -> Result<Principal> {
    current()
        .and_then(|caller| caller.principal.clone())
        .ok_or(Error::Unauthenticated { message: "a bearer token is required" })
}

/// The tenant the running request is for.
pub fn tenant() -> Result<TenantId> {
    let tenant = current().and_then(|caller| caller.tenant.clone());
    tenant.ok_or(Error::MissingContext { field: "tenant_id" })
}

/// What is known of the tenant the running request is for.
pub fn tenant_facts() -> Result<Arc<TenantFacts>> {
    let facts = current().and_then(|caller| caller.tenant_facts.clone());
    facts.ok_or(Error::MissingContext { field: "tenant_id" })
}

/// The org the running request is for.
pub fn org_key() -> Result<OrgKey> {
    let tenant = tenant()?;
    let org = current().and_then(|caller| caller.org.clone());
    Ok(OrgKey { tenant, org: org.ok_or(Error::MissingContext { field: "org_id" })? })
}

/// The idempotency key: the request's own `request_id`, otherwise the header.
/// Empty where the client gave neither.
pub fn idempotency_key(request_id: &str) -> String {
    if !request_id.is_empty() {
        return request_id.to_owned();
    }
    current().and_then(|caller| caller.idempotency_key.clone()).unwrap_or_default()
}
