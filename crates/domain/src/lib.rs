//! The nouns of the control plane and the rules they obey: no I/O, no async.
//!
//! Invariant: a value of a type in this crate is valid. Parsing is the only
//! way in, so nothing further along has to check an id again.

pub mod backup_prefix;
pub mod change;
pub mod database_name;
pub mod database_url;
pub mod email;
pub mod error;
pub mod file_name;
pub mod file_prefix;
pub mod id;
pub mod idempotency;
pub mod operation;
pub mod operation_input;
pub mod org_role;
pub mod orphan;
pub mod page;
pub mod plan;
pub mod state;

pub use change::Change;
pub use database_name::DatabaseName;
pub use database_url::DatabaseUrlTemplate;
pub use email::Email;
pub use error::{Error, Result};
pub use file_name::FileName;
pub use id::{OrgId, OrgKey, TenantId, Username};
pub use idempotency::IdempotencyKey;
pub use operation::{Lane, OperationType};
pub use org_role::OrgRole;
pub use orphan::OrphanKind;
pub use page::PageSize;
pub use plan::Plan;
pub use state::{BackupState, DatabaseState, OperationState, OrgStatus, TenantStatus};
