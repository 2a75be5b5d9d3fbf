//! `[tenancy]`: which hosts stand for which tenant.

use serde::Deserialize;

/// `[tenancy]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenancy {
    /// The domain whose subdomains are tenants; none if empty.
    pub root_domain: String,
    /// Hosts that are the platform's own.
    pub platform_hosts: Vec<String>,
    /// Subdomains that are no tenant's.
    pub reserved_subdomains: Vec<String>,
    /// The tenant that platform administrators belong to.
    pub platform_tenant_id: String,
}
