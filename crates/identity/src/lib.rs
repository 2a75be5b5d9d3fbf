//! The identity database: what should exist. Tenants, orgs, their databases,
//! users, operations, backups and the audit trail.
//!
//! Invariants: every query about a tenant's things starts at [`for_tenant`] or
//! [`for_org`], so that none can forget its filter; a change and its audit row
//! are written in one transaction.

pub mod changes;
pub mod clock;
pub mod connect;
pub mod entity;
pub mod error;
pub mod grants;
pub mod migration;
pub mod part;
pub mod query;
pub mod schema;
pub mod scope;

pub use connect::{Database, connect};
pub use error::{Context, Error, Result};
pub use part::Part;
pub use scope::{OrgScope, TenantScope, for_org, for_tenant};
