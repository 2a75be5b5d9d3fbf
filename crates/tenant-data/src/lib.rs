//! What the API reads and writes in the orgs' own databases.
//!
//! Invariants: a connection to an org's database is the org's own role's, never
//! the administrator's; there are never more connections than
//! [`Limits::total`], nor more to one database than [`Limits::per_database`];
//! who waits for its own database holds nothing that others need.

mod connections;
mod customer;
mod error;
mod export;
mod file;
mod hand;
mod idle;
mod server;
mod session;

pub use connections::{Connections, Limits};
pub use customer::{Customer, CustomerChange, NewCustomer};
pub use error::{Error, Result};
pub use export::{PutBack, Table, Values};
pub use file::{File, NewFile};
pub use server::{Login, TenantServer};
pub use session::Session;
