//! Roles: what a user is within the tenant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A role, as stored with the user and carried in the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything; only holds in the tenant `platform`.
    PlatformAdmin,
    /// May do everything within the tenant.
    TenantAdmin,
    /// May read what any authenticated user may.
    Member,
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Self] = &[Self::PlatformAdmin, Self::TenantAdmin, Self::Member];

    /// The name stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlatformAdmin => "platform_admin",
            Self::TenantAdmin => "tenant_admin",
            Self::Member => "member",
        }
    }

    /// Reads a stored name back.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
