//! Queries, one file a noun. Those about a tenant's things are methods of
//! [`crate::TenantScope`] and [`crate::OrgScope`].

pub mod api_key;
pub mod audit_chain;
pub mod audit_log;
pub mod backup;
pub mod backup_key;
pub mod clock;
pub mod database;
pub mod deployment;
pub mod inventory;
pub mod key_canary;
pub mod member;
pub mod operation;
pub mod org;
pub mod orphan;
pub mod policy;
pub mod recovery;
pub mod sealed;
pub mod session;
pub mod tenant;
pub mod tombstone;
pub mod user;
