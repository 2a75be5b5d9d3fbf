//! Tables as sea-orm sees them, one file a noun.

pub mod audit_log;
pub mod backup;
pub mod backup_key;
pub mod database;
pub mod operation;
pub mod org;
pub mod tenant;
pub mod tombstone;
pub mod user;
