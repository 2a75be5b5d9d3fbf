//! Everything said to a PostgreSQL server as its administrator: databases,
//! roles, templates, dumps, restores, and the private server of `yuantus dev`.
//!
//! Invariants: names reach SQL only quoted; only a database that this plane
//! provably made is changed; all changes to a lane's databases go through the
//! one session that holds the lane; every call can be repeated. Child
//! processes are started here and nowhere else.

mod access;
mod adoption;
mod archive;
mod assignment;
mod bootstrap;
mod catalog;
mod child;
mod collation;
mod contents;
mod create;
mod deferred;
pub mod dump;
mod environment;
mod error;
mod holder;
mod identifier;
mod idle;
mod lane;
mod lane_session;
mod marker;
pub mod private_server;
pub mod psql;
pub mod restore;
mod retire;
mod rows;
pub mod scram;
mod server;
mod session;
mod space;
mod swap;
mod tools;
mod transience;

pub use access::DatabaseAccess;
pub use assignment::{Assigned, Assignment, Spare};
pub use bootstrap::{APP_ROLE, OWNER_ROLE};
pub use catalog::DatabaseInfo;
pub use contents::{Address, Contents, DatabaseSettings, Defaults, Grant, Owned, Policy, Rights};
pub use create::Ahead;
pub use error::{Error, Result};
pub use holder::{Holder, HolderSession};
pub use identifier::Identifier;
pub use lane::LaneTag;
pub use lane_session::LaneSession;
pub use marker::{ClaimStamp, Kind, Marker, WaitingRole};
pub use private_server::{PrivateServer, PrivateServerSettings};
pub use rows::{TableRows, count_tables, count_tables_with};
pub use server::Server;
pub use space::SpaceSettings;
pub use swap::Swapped;
pub use tools::Tools;
