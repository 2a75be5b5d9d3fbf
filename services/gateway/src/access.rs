//! Who may call which RPC: the contract's options, and a small list for the
//! methods that are not ours, and for what gRPC does not have.
//!
//! Invariant: what is not in this table is denied to everybody.

use std::collections::{HashMap, HashSet};

use crate::upload;
use yuantus_auth::permission::{Access, Permission, Scope};
use yuantus_proto::{
    access::{self, ACCESS, MethodAccess},
    rest::ROUTES,
};

/// What is served at the platform's hosts only begins with this.
pub const PLATFORM: &str = "/api/v1/platform/";

/// gRPC's own methods, and the one by which Envoy asks whether somebody else
/// may pass: open to anybody.
const PUBLIC: &[&str] = &[
    "/envoy.service.auth.v3.Authorization/Check",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The permission table.
pub struct AccessTable {
    access: HashMap<&'static str, Access>,
    /// RPCs that have no routes but the platform's.
    platforms: HashSet<&'static str>,
}

impl AccessTable {
    /// Reads the contract.
    pub fn new() -> Self {
        let ours = ACCESS.iter().filter_map(|method| Some((method.rpc, read(method)?)));
        let open = Access {
            permission: Permission::Public,
            scope: Scope::None,
            names_tenant: false,
            reads: true,
        };
        let member = Access {
            permission: Permission::Member,
            scope: Scope::Org,
            names_tenant: false,
            reads: false,
        };
        let uploads = [(upload::RPC, member)];
        let access = PUBLIC.iter().map(|rpc| (*rpc, open)).chain(uploads).chain(ours).collect();
        let platforms = |yes: bool| {
            let of = ROUTES.iter().filter(move |r| r.template.starts_with(PLATFORM) == yes);
            of.map(|route| route.rpc).collect::<HashSet<_>>()
        };
        Self { access, platforms: &platforms(true) - &platforms(false) }
    }

    /// Whether `rpc` is served at the platform's hosts only, however it is
    /// called.
    pub fn is_platforms(&self, rpc: &str) -> bool {
        self.platforms.contains(rpc)
    }

    /// Every RPC that anybody may call.
    #[cfg(test)]
    pub fn rpcs(&self) -> impl Iterator<Item = &'static str> {
        self.access.keys().copied()
    }

    /// Who may call `rpc` (gRPC's path); `None` where nobody may.
    pub fn of(&self, rpc: &str) -> Option<Access> {
        self.access.get(rpc).copied()
    }
}

/// `None` where the option leaves something unsaid.
fn read(method: &MethodAccess) -> Option<Access> {
    let permission = match method.permission {
        access::Permission::Unspecified => return None,
        access::Permission::Public => Permission::Public,
        access::Permission::Authenticated => Permission::Authenticated,
        access::Permission::Member => Permission::Member,
        access::Permission::TenantAdmin => Permission::TenantAdmin,
        access::Permission::PlatformAdmin => Permission::PlatformAdmin,
    };
    let scope = match method.scope {
        access::Scope::Unspecified => return None,
        access::Scope::None => Scope::None,
        access::Scope::Tenant => Scope::Tenant,
        access::Scope::Org => Scope::Org,
    };
    let MethodAccess { names_tenant, reads, .. } = *method;
    Some(Access { permission, scope, names_tenant, reads })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_denied() {
        let method = |permission, scope| MethodAccess {
            rpc: "/x/Y",
            permission,
            scope,
            names_tenant: false,
            reads: false,
        };
        let unsaid = access::Permission::Unspecified;
        assert_eq!(read(&method(unsaid, access::Scope::None)), None);
        let unsaid = access::Scope::Unspecified;
        assert_eq!(read(&method(access::Permission::Public, unsaid)), None);
        let table = AccessTable::new();
        for unknown in ["", "/yuantus.controlplane.v1.TenantService/Purge", "/grpc.health.v1.X/Y"] {
            assert_eq!(table.of(unknown), None, "{unknown}");
        }
    }
}
