//! The use cases, and what they work with.

pub mod api_key;
pub mod audit;
pub mod auth;
pub mod backup;
pub mod bucket_mark;
pub mod clock;
pub mod connection;
pub mod context;
pub mod customer;
mod data;
pub mod doctor;
pub mod export;
pub mod file;
pub mod health;
pub mod member;
pub mod migration;
pub mod operation;
pub mod org;
pub mod owner;
mod page;
pub mod policy;
pub mod recovery;
pub mod restore;
pub mod session;
pub mod tenant;
pub mod tombstone;
pub mod user;

use std::{ops::Deref, sync::Arc};

use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionTrait};
use yuantus_auth::{Attempts, Passwords, Sealer, Tokens, policy::Policy};
use yuantus_domain::{DatabaseUrlTemplate, Error, OrgKey, Result};
use yuantus_identity::{Context, query::session::Life};
use yuantus_operations::{Notifier, Watcher};
use yuantus_postgres::Server;
use yuantus_storage::{ObjectStore, Presigner};
use yuantus_tenant_data::Connections;
use yuantus_tenant_schema::Bundle;

pub use page::Page;

/// What the use cases work with.
pub struct Parts {
    /// The identity database.
    pub db: DatabaseConnection,
    /// Signs and verifies tokens.
    pub tokens: Tokens,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Counts attempts to log in.
    pub attempts: Attempts,
    /// Seals secrets.
    pub sealer: Arc<Sealer>,
    /// Tells workers and watchers.
    pub notifier: Notifier,
    /// Hears from workers.
    pub watcher: Watcher,
    /// The migrations of the orgs' databases.
    pub bundle: Arc<Bundle>,
    /// The server of the orgs' databases.
    pub server: Server,
    /// Connections to the orgs' own databases.
    pub data: Connections,
    /// Where backups and files are.
    pub store: ObjectStore,
    /// Makes URLs of files, as clients reach the bucket.
    pub presigner: Presigner,
    /// What the audit trail needs.
    pub audit: audit::Audit,
    /// Limits and names.
    pub settings: Settings,
}

/// Limits and names.
#[derive(Clone)]
pub struct Settings {
    /// How databases are named.
    pub database_names: DatabaseUrlTemplate,
    /// The host that clients reach the server under; its own if none.
    pub client_host: Option<String>,
    /// The port that clients reach the server at; its own if none.
    pub client_port: Option<u16>,
    /// The endpoint under which owners of backups reach the bucket.
    pub backup_endpoint: String,
    /// Which passwords are taken.
    pub password_policy: Policy,
    /// How long sessions last.
    pub session_life: Life,
    /// How many attempts each step of an operation gets.
    pub max_attempts: i32,
    /// How many unfinished operations one org may have.
    pub lane_depth: u64,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl App {
    /// Takes what the use cases work with.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    async fn begin(&self) -> Result<DatabaseTransaction> {
        Ok(self.db.begin().await.during("begin")?)
    }

    async fn commit(&self, txn: DatabaseTransaction) -> Result<()> {
        Ok(txn.commit().await.during("commit")?)
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// How the API names an org.
pub fn org_name(key: &OrgKey) -> String {
    format!("tenants/{}/orgs/{}", key.tenant, key.org)
}

/// A name for people: at most 200 characters, none of them control characters;
/// the id where the client gave none.
fn display_name<'a>(name: &'a str, id: &'a str) -> Result<&'a str> {
    if name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(Error::invalid("name", "must have at most 200 characters and no control ones"));
    }
    Ok(if name.trim().is_empty() { id } else { name })
}
