//! Tables as sea-orm sees them, one file a noun.

pub mod api_key;
pub mod audit_log;
pub mod backup;
pub mod backup_key;
pub mod database;
pub mod member;
pub mod operation;
pub mod org;
pub mod orphan;
pub mod policy;
pub mod session;
pub mod tenant;
pub mod tombstone;
pub mod user;
