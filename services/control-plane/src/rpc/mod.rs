//! gRPC handlers, one file a noun. REST calls the same ones.

pub mod api_key;
pub mod audit;
pub mod auth;
pub mod backup;
mod convert;
pub mod customer;
pub mod export;
pub mod file;
pub mod member;
pub mod migration;
pub mod operation;
pub mod org;
pub mod policy;
pub mod session;
pub mod status;
pub mod tenant;
pub mod user;

pub use api_key::ApiKeys;
pub use audit::Audits;
pub use auth::Auth;
pub use backup::Backups;
pub use customer::Customers;
pub use export::Exports;
pub use file::Files;
pub use member::Members;
pub use migration::Migrations;
pub use operation::Operations;
pub use org::Orgs;
pub use policy::Policies;
pub use session::Sessions;
pub use tenant::Tenants;
pub use user::Users;
