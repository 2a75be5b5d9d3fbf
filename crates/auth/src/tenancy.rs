//! What is known of the tenant and org that a request is for, and whether
//! they can be served.

use std::time::Duration;

use chrono::{DateTime, Utc};
use yuantus_domain::{Error, OrgKey, Plan, Result, TenantId, TenantStatus};

use crate::Role;

/// When to try again what is being made.
const SOON: Duration = Duration::from_secs(2);
/// When to try again what somebody has to look at first.
const LATER: Duration = Duration::from_secs(30);

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantFacts {
    /// Its id.
    pub id: TenantId,
    /// The name people read.
    pub name: String,
    /// Where it is in its life.
    pub status: TenantStatus,
    /// Its plan.
    pub plan: Plan,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl TenantFacts {
    /// Refuses unless requests of this tenant are served.
    pub fn check(&self) -> Result<()> {
        let id = &self.id;
        match self.status {
            TenantStatus::Active => Ok(()),
            TenantStatus::Suspended => Err(Error::PermissionDenied {
                reason: "TENANT_SUSPENDED",
                message: format!("tenant `{id}` is suspended"),
            }),
            TenantStatus::Provisioning => {
                Err(unready("PROVISIONING", format!("tenant `{id}` is being set up"), SOON))
            }
            TenantStatus::Failed => {
                let message = format!("setting up tenant `{id}` failed");
                Err(unready("PROVISIONING_FAILED", message, LATER))
            }
        }
    }
}

/// Why the database of an org cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It is being made.
    Provisioning,
    /// Making it failed.
    ProvisioningFailed,
    /// No migration was applied to it.
    MissingSchema,
    /// It is at an older migration than this server works with.
    MigrationMismatch,
}

/// An org and its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgFacts {
    /// Which org of which tenant.
    pub key: OrgKey,
    /// The name of its database.
    pub database: String,
    /// The migration that its database is at.
    pub revision: i64,
    /// Why the database cannot be used; `None` where it can.
    pub not_ready: Option<NotReady>,
}

impl OrgFacts {
    /// Refuses unless the database can be used.
    pub fn check(&self) -> Result<()> {
        let key = &self.key;
        let Some(why) = self.not_ready else { return Ok(()) };
        Err(match why {
            NotReady::Provisioning => {
                let message = format!("the database of org `{key}` is being made");
                unready("PROVISIONING", message, SOON)
            }
            NotReady::ProvisioningFailed => {
                let message = format!("making the database of org `{key}` failed");
                unready("PROVISIONING_FAILED", message, LATER)
            }
            NotReady::MissingSchema => {
                let message = format!("the database of org `{key}` has no schema");
                unready("MISSING_SCHEMA", message, LATER)
            }
            NotReady::MigrationMismatch => {
                let message = format!("the database of org `{key}` is at an older migration");
                unready("MIGRATION_MISMATCH", message, LATER)
            }
        })
    }
}

fn unready(reason: &'static str, message: String, retry_after: Duration) -> Error {
    Error::Unavailable { reason, message, retry_after }
}

/// A user who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFacts {
    /// The user's tenant, or `platform`.
    pub tenant: String,
    /// What the user is there now, whatever an older token says.
    pub roles: Vec<Role>,
}

/// A session that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// Whose it is; nobody's if it was opened at the console.
    pub user_id: Option<i32>,
}
