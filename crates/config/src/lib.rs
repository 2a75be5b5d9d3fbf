//! Configuration: commented defaults, then a file, then the environment;
//! validated once.
//!
//! Invariant: a [`Config`] that [`Config::load`] returned obeys every rule its
//! values can break alone; [`Config::require`] adds what one kind of process
//! cannot do without. Nothing else in the workspace reads the environment.

pub mod audit;
pub mod auth;
mod check;
pub mod config;
pub mod data;
mod environment;
pub mod error;
pub mod identity;
mod load;
pub mod log;
pub mod metrics;
mod optional;
pub mod permissions;
pub mod purpose;
pub mod secrets;
pub mod server;
pub mod storage;
pub mod tenancy;
pub mod tenants;
mod variables;
pub mod worker;

pub use audit::Audit;
pub use auth::{Auth, AuthMode};
pub use config::{Config, Loaded};
pub use data::Data;
pub use environment::Environment;
pub use error::{Error, Problem, Result};
pub use identity::Identity;
pub use log::{Log, LogFormat};
pub use metrics::Metrics;
pub use purpose::Purpose;
pub use secrets::Secrets;
pub use server::{ClientCertificates, Server};
pub use storage::Storage;
pub use tenancy::Tenancy;
pub use tenants::Tenants;
pub use worker::Worker;

/// The commented defaults: every key with its meaning and unit.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");
