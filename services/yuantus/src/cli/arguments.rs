//! Arguments that several commands take.

use yuantus_domain::{OrgKey, TenantId};

/// `TENANT/ORG`.
pub(crate) fn org_key(text: &str) -> Result<OrgKey, String> {
    let (tenant, org) = text.split_once('/').ok_or("must be TENANT/ORG")?;
    OrgKey::parse(tenant, org).map_err(|error| error.to_string())
}

/// `TENANT`.
pub(crate) fn tenant_id(text: &str) -> Result<TenantId, String> {
    TenantId::parse("tenant", text).map_err(|error| error.to_string())
}

/// `TENANT` or `TENANT/ORG`.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The tenant.
    pub(crate) tenant: String,
    /// The org; empty for all of the tenant's.
    pub(crate) org: String,
}

/// Reads a [`Scope`].
pub(crate) fn scope(text: &str) -> Result<Scope, String> {
    if text.contains('/') {
        let key = org_key(text)?;
        return Ok(Scope { tenant: key.tenant.into(), org: key.org.into() });
    }
    Ok(Scope { tenant: tenant_id(text)?.into(), org: String::new() })
}
