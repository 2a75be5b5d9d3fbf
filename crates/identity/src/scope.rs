//! Where every query about a tenant's things begins. The methods are in
//! `query/<noun>.rs`.

use yuantus_domain::{OrgKey, TenantId};

/// Queries within one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TenantScope<'a> {
    pub(crate) tenant: &'a TenantId,
}

/// Queries within one org of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct OrgScope<'a> {
    pub(crate) key: &'a OrgKey,
}

/// Begins a query within one tenant.
pub fn for_tenant(tenant: &TenantId) -> TenantScope<'_> {
    TenantScope { tenant }
}

/// Begins a query within one org.
pub fn for_org(key: &OrgKey) -> OrgScope<'_> {
    OrgScope { key }
}

impl OrgScope<'_> {
    pub(crate) fn tenant_id(&self) -> &str {
        self.key.tenant.as_str()
    }

    pub(crate) fn org_id(&self) -> &str {
        self.key.org.as_str()
    }
}
