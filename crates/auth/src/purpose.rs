//! What secrets are sealed for. Whoever seals and whoever opens must name the
//! same thing, so both call these.

use yuantus_domain::OrgKey;

use crate::Aad;

/// The password of the role that an org's database is used with.
pub fn database_password(key: &OrgKey, version: u32) -> Aad<'_> {
    of(key, "database-password", version)
}

/// The key of an org's backup repositories.
pub fn backup_key(key: &OrgKey, version: u32) -> Aad<'_> {
    of(key, "backup-key", version)
}

/// What is sealed for nothing but to prove a key.
pub fn key_canary() -> Aad<'static> {
    Aad { tenant: "", org: "", purpose: "key-canary", version: 1 }
}

fn of<'a>(key: &'a OrgKey, purpose: &'a str, version: u32) -> Aad<'a> {
    Aad { tenant: key.tenant.as_str(), org: key.org.as_str(), purpose, version }
}
