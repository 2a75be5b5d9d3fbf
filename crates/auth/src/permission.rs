//! Who may call which RPC, in one table.
//!
//! Invariant: an RPC that is not here is denied. A test in the services walks
//! the contract and fails when an RPC is missing.

use yuantus_domain::{Error, Result};

use crate::Principal;

/// What a caller must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Anybody.
    Public,
    /// Anybody with a token.
    Authenticated,
    /// An administrator of a tenant; handlers check of which. Platform
    /// administrators may too.
    TenantAdmin,
    /// A platform administrator.
    PlatformAdmin,
}

use Permission::{Authenticated, PlatformAdmin, Public, TenantAdmin};

const TABLE: &[(&str, Permission)] = &[
    ("/yuantus.controlplane.v1.AuthService/Login", Public),
    ("/yuantus.controlplane.v1.AuthService/GetMe", Authenticated),
    ("/yuantus.controlplane.v1.TenantService/CreateTenant", PlatformAdmin),
    ("/yuantus.controlplane.v1.TenantService/GetTenant", TenantAdmin),
    ("/yuantus.controlplane.v1.TenantService/ListTenants", PlatformAdmin),
    ("/yuantus.controlplane.v1.OrgService/CreateOrg", TenantAdmin),
    ("/yuantus.controlplane.v1.OrgService/GetOrg", TenantAdmin),
    ("/yuantus.controlplane.v1.OrgService/ListOrgs", TenantAdmin),
    ("/yuantus.controlplane.v1.OrgService/GetConnection", TenantAdmin),
    ("/yuantus.controlplane.v1.OperationService/GetOperation", TenantAdmin),
    ("/yuantus.controlplane.v1.OperationService/ListOperations", TenantAdmin),
    ("/yuantus.controlplane.v1.OperationService/WaitOperation", TenantAdmin),
    ("/yuantus.controlplane.v1.OperationService/WatchOperation", TenantAdmin),
    ("/yuantus.controlplane.v1.OperationService/CancelOperation", TenantAdmin),
    ("/yuantus.controlplane.v1.OperationService/RetryOperation", TenantAdmin),
    ("/yuantus.controlplane.v1.MigrationService/GetBundle", Authenticated),
    ("/yuantus.controlplane.v1.MigrationService/GetMigrationStatus", TenantAdmin),
    ("/yuantus.controlplane.v1.MigrationService/ListMigrationStatuses", TenantAdmin),
    ("/yuantus.controlplane.v1.MigrationService/ApplyMigrations", TenantAdmin),
    ("/yuantus.controlplane.v1.BackupService/CreateBackup", TenantAdmin),
    ("/yuantus.controlplane.v1.BackupService/GetBackup", TenantAdmin),
    ("/yuantus.controlplane.v1.BackupService/ListBackups", TenantAdmin),
    ("/yuantus.controlplane.v1.BackupService/VerifyBackup", TenantAdmin),
    ("/yuantus.controlplane.v1.BackupService/RestoreBackup", TenantAdmin),
    ("/yuantus.controlplane.v1.BackupService/GetBackupKey", TenantAdmin),
    ("/grpc.health.v1.Health/Check", Public),
    ("/grpc.health.v1.Health/Watch", Public),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Public),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Public),
];

/// The whole table: the RPC as gRPC's path, and what its caller must be.
pub fn all() -> &'static [(&'static str, Permission)] {
    TABLE
}

/// What the caller of `method` (gRPC's path) must be; `None` where nobody may.
pub fn permission_of(method: &str) -> Option<Permission> {
    TABLE.iter().find(|(name, _)| *name == method).map(|(_, permission)| *permission)
}

/// Refuses unless `principal` may call `method`. That the caller has no token
/// is said before what a token would allow.
pub fn authorize(method: &str, principal: Option<&Principal>) -> Result<()> {
    let Some(permission) = permission_of(method) else {
        return Err(Error::denied("nobody may call this method"));
    };
    if permission == Public {
        return Ok(());
    }
    let Some(principal) = principal else {
        return Err(Error::Unauthenticated { message: "a bearer token is required" });
    };
    match permission {
        Public | Authenticated => Ok(()),
        TenantAdmin if principal.is_platform() || principal.is_tenant_admin() => Ok(()),
        TenantAdmin => Err(Error::denied("only administrators of the tenant may do this")),
        PlatformAdmin if principal.is_platform() => Ok(()),
        PlatformAdmin => Err(Error::denied("only platform administrators may do this")),
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
    fn nothing_is_in_the_table_twice() {
        for (position, (name, _)) in TABLE.iter().enumerate() {
            assert!(!TABLE[..position].iter().any(|(other, _)| other == name), "{name}");
        }
    }

    #[test]
    fn unknown_methods_are_denied_to_everybody() {
        let platform = caller("platform", Role::PlatformAdmin);
        assert!(
            authorize("/yuantus.controlplane.v1.TenantService/Purge", Some(&platform)).is_err()
        );
        assert!(authorize("", None).is_err());
    }

    #[test]
    fn each_permission_lets_in_exactly_those_it_names() {
        let platform = caller("platform", Role::PlatformAdmin);
        let admin = caller("acme", Role::TenantAdmin);
        let member = caller("acme", Role::Member);
        let impostor = caller("acme", Role::PlatformAdmin);
        let callers = [None, Some(&impostor), Some(&member), Some(&admin), Some(&platform)];
        for (method, permission) in TABLE {
            let allowed = callers.map(|caller| authorize(method, caller).is_ok());
            let expected = match permission {
                Public => [true; 5],
                Authenticated => [false, true, true, true, true],
                TenantAdmin => [false, false, false, true, true],
                PlatformAdmin => [false, false, false, false, true],
            };
            assert_eq!(allowed, expected, "{method}");
        }
    }
}
