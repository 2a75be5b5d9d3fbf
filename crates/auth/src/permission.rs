//! What a caller must be to call an RPC. Which RPC needs what, the contract
//! says: `option (access)` of every method in `proto/`.

use yuantus_domain::{Error, Result};

use crate::Principal;

/// What a caller must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Anybody.
    Public,
    /// Anybody with a token.
    Authenticated,
    /// A user of the tenant in context; of the org in context, the context
    /// itself sees to. Platform administrators may too.
    Member,
    /// An administrator of a tenant; handlers check of which. Platform
    /// administrators may too.
    TenantAdmin,
    /// A platform administrator.
    PlatformAdmin,
}

/// What an RPC is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No tenant, or whichever the request names.
    None,
    /// A tenant: the one the request names, otherwise the one in context.
    Tenant,
    /// The tenant and org in context, whose database must be usable.
    Org,
}

/// Who may call an RPC, and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What a caller must be.
    pub permission: Permission,
    /// What it is about.
    pub scope: Scope,
    /// Whether its requests name the tenant themselves.
    pub names_tenant: bool,
    /// Whether it only reads.
    pub reads: bool,
}

impl Permission {
    /// Refuses unless `principal` may do what needs this. That the caller has
    /// no token is said before what a token would allow.
    pub fn check(self, principal: Option<&Principal>) -> Result<()> {
        if self == Self::Public {
            return Ok(());
        }
        let Some(principal) = principal else {
            return Err(Error::Unauthenticated { message: "a bearer token is required" });
        };
        let platform = principal.is_platform();
        match self {
            Self::Public | Self::Authenticated => Ok(()),
            Self::Member if platform || principal.is_of_a_tenant() => Ok(()),
            Self::Member => Err(Error::denied("only users of a tenant may do this")),
            Self::TenantAdmin if platform || principal.is_tenant_admin() => Ok(()),
            Self::TenantAdmin => {
                Err(Error::denied("only administrators of the tenant may do this"))
            }
            Self::PlatformAdmin if platform => Ok(()),
            Self::PlatformAdmin => Err(Error::denied("only platform administrators may do this")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    fn caller(tenant: &str, role: Role) -> Principal {
        Principal { tenant: tenant.into(), roles: vec![role], ..Principal::anonymous() }
    }

    #[test]
    fn each_permission_lets_in_exactly_those_it_names() {
        let platform = caller("platform", Role::PlatformAdmin);
        let idle = caller("platform", Role::Member);
        let admin = caller("acme", Role::TenantAdmin);
        let member = caller("acme", Role::Member);
        let impostor = caller("acme", Role::PlatformAdmin);
        let callers =
            [None, Some(&idle), Some(&impostor), Some(&member), Some(&admin), Some(&platform)];
        for (permission, expected) in [
            (Permission::Public, [true; 6]),
            (Permission::Authenticated, [false, true, true, true, true, true]),
            (Permission::Member, [false, false, true, true, true, true]),
            (Permission::TenantAdmin, [false, false, false, false, true, true]),
            (Permission::PlatformAdmin, [false, false, false, false, false, true]),
        ] {
            let allowed = callers.map(|caller| permission.check(caller).is_ok());
            assert_eq!(allowed, expected, "{permission:?}");
        }
    }
}
