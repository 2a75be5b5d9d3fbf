//! Tenant migrations: bundle formats, the default bundle, the runner.
//!
//! Invariants: what can be known to be wrong with a bundle is said by
//! [`Bundle::load`], before any database is touched; a migration and its
//! record in `yuantus_schema.migrations` are one transaction, or the record
//! says that the migration was begun; an applied migration never changes.

mod builtin;
pub mod bundle;
mod check;
mod directory;
mod down_half;
pub mod error;
mod file_name;
mod history;
mod invalid_index;
mod lexer;
pub mod migration;
mod numbering;
mod plan;
mod run;
mod script;
mod server_error;
mod session;
mod session_rules;
mod source;

pub use bundle::Bundle;
pub use error::{Error, Result};
pub use migration::Migration;
pub use run::{Report, Status, migrate, status};
pub use server_error::{Cause, ServerError};
