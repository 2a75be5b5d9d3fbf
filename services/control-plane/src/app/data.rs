//! The org's own database, for the use cases that serve what is in it.
//!
//! Invariant: no change in it is committed before its audit row is. The two
//! are in different databases: a crash in between leaves an audit row of a
//! change that did not come to be, never a change without one.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;
use yuantus_auth::caller;
use yuantus_domain::{Change, DatabaseState, Error, OrgKey, Result, TenantStatus};
use yuantus_identity::{for_org, for_tenant};
use yuantus_tenant_data::{Login, Session};

use super::App;

impl App {
    /// Gives up connections to what changed: an org's database may have
    /// another password now, and that of a tenant no longer be served.
    pub fn forget_connections(&self, change: &Change) {
        match change {
            Change::Tenant(tenant) => self.data.forget_tenant(tenant),
            Change::Org(key) => self.data.forget(key),
            Change::Listening
            | Change::Lost
            | Change::User(_)
            | Change::Session(_)
            | Change::ApiKey(_)
            | Change::Member(..)
            | Change::Unknown => {}
        }
    }

    /// A connection to an org's database, as the org's own role. What is known
    /// of a database that may not be used is forgotten here.
    pub(super) async fn data_session(&self, key: &OrgKey) -> Result<Session> {
        caller::principal()?.may_act_for(&key.tenant)?;
        match self.data_login(key).await {
            Ok(login) => Ok(self.data.session(&login).await?),
            Err(error) => {
                self.data.forget(key);
                Err(error)
            }
        }
    }

    async fn data_login(&self, key: &OrgKey) -> Result<Login> {
        let (tenant, org) = (for_tenant(&key.tenant), for_org(key));
        let (tenant, database) = tokio::join!(tenant.tenant(&self.db), org.database(&self.db));
        let tenant = tenant?.ok_or_else(|| Error::not_found("tenant", &key.tenant))?;
        if tenant.status != TenantStatus::Active.as_str() {
            let message = format!("tenant `{}` is {}", key.tenant, tenant.status);
            return Err(Error::PermissionDenied { reason: "TENANT_NOT_ACTIVE", message });
        }
        let database = database?.ok_or_else(|| Error::not_found("org", key))?;
        if database.state != DatabaseState::Ready.as_str() {
            return Err(Error::Unavailable {
                reason: "DATABASE_NOT_READY",
                message: format!("the database of org `{key}` is {}", database.state),
                retry_after: std::time::Duration::from_secs(2),
            });
        }
        Ok(Login {
            key: key.clone(),
            password: self.open_database_password(key, &database)?,
            database: database.name,
            role: database.role,
            password_version: database.password_version,
        })
    }
}

/// Where a page of rows that are listed newest first ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) created_at: DateTime<Utc>,
    pub(super) id: Uuid,
}

impl Before {
    /// As queries take it.
    pub(super) fn pair(self) -> (DateTime<Utc>, Uuid) {
        (self.created_at, self.id)
    }
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.created_at.timestamp_micros(), self.id)
    }
}

impl FromStr for Before {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (created_at, id) = text.split_once('/').ok_or(())?;
        let created_at = created_at.parse().ok().and_then(DateTime::from_timestamp_micros);
        Ok(Self { created_at: created_at.ok_or(())?, id: id.parse().map_err(drop)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_page_is_found_again_to_the_microsecond() {
        let created_at = DateTime::from_timestamp_micros(1_790_000_000_123_457).unwrap();
        let before = Before { created_at, id: Uuid::from_u128(7) };
        assert_eq!(before.to_string().parse(), Ok(before));
        for odd in ["", "/", "1/x", "x/00000000-0000-0000-0000-000000000007"] {
            assert_eq!(odd.parse::<Before>(), Err(()), "{odd}");
        }
    }
}
