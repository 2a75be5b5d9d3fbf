//! How clients connect to an org's database.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use yuantus_auth::{caller, purpose};
use yuantus_domain::{DatabaseState, Error, OrgKey, Result};
use yuantus_identity::{entity::database, for_org, query::audit_log};

use super::{App, audit, org_name};

/// How to connect to an org's database.
#[derive(Debug)]
pub struct Connection {
    /// The server's host.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role to log in as.
    pub username: String,
    /// Its password.
    pub password: SecretString,
}

impl Connection {
    /// All of it as a URL, password included.
    pub fn url(&self) -> SecretString {
        // Names are of `[a-z0-9_-]`, passwords of letters and digits: nothing
        // in them has to be escaped. An IPv6 address has to be bracketed.
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        let password = self.password.expose_secret();
        format!("postgresql://{}:{password}@{host}:{}/{}", self.username, self.port, self.database)
            .into()
    }
}

impl App {
    /// Reveals how to connect to an org's database, and records that it did.
    pub async fn get_connection(&self, key: &OrgKey) -> Result<Connection> {
        caller::principal()?.may_act_for(&key.tenant)?;
        let (tenant, org) = (key.tenant.as_str(), key.org.as_str());
        let entry = audit::of_org("connection.reveal", tenant, org, org_name(key), json!({}));
        let revealed = for_org(key).usable_database(&self.db, audit_log::appended(entry)).await?;
        let Some(database) = revealed else { return Err(self.not_usable(key).await?) };
        let password = self.open_database_password(key, &database)?;
        Ok(Connection {
            host: self.settings.client_host.clone().unwrap_or_else(|| self.server.host().into()),
            port: self.settings.client_port.unwrap_or_else(|| self.server.port()),
            database: database.name,
            username: database.role,
            password,
        })
    }

    /// Why an org's database cannot be used.
    async fn not_usable(&self, key: &OrgKey) -> Result<Error> {
        let (_, database) = self.get_org(key).await?;
        if database.state == DatabaseState::Ready.as_str() {
            // It has become so since.
            return Ok(Error::Conflict { kind: "org", id: key.to_string() });
        }
        let message = format!(
            "the database of org `{key}` is {}; the operation on it says why",
            database.state
        );
        Ok(Error::precondition("DATABASE_NOT_READY", message))
    }

    pub(super) fn open_database_password(
        &self,
        key: &OrgKey,
        database: &database::Model,
    ) -> Result<SecretString> {
        let version = database.password_version.unsigned_abs();
        let aad = purpose::database_password(key, version);
        Ok(self.sealer.open(&database.sealed_password, &aad)?)
    }
}
