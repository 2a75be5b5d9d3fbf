//! Who may call which RPC, and what it is about: the `access` option of every
//! method.
//!
//! Invariant: a method without the option is not here, and nobody may call
//! what is not here.

pub use crate::v1::access::{Permission, Scope};

/// What the contract says of one RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodAccess {
    /// The RPC as gRPC's path: `/yuantus.controlplane.v1.OrgService/GetOrg`.
    pub rpc: &'static str,
    /// What a caller must be.
    pub permission: Permission,
    /// What the method is about.
    pub scope: Scope,
    /// Whether requests have a field `tenant_id`.
    pub names_tenant: bool,
    /// Whether its first route is a GET.
    pub reads: bool,
}

/// Every RPC that has the option.
pub const ACCESS: &[MethodAccess] = include!(concat!(env!("OUT_DIR"), "/access.rs"));

/// What the contract says of `rpc`; `None` where it says nothing.
pub fn access_of(rpc: &str) -> Option<&'static MethodAccess> {
    ACCESS.iter().find(|access| access.rpc == rpc)
}
