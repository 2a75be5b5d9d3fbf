//! What is known of the tenant and org that a request is for, and whether
//! they can be served.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use yuantus_domain::{Error, OrgId, OrgKey, Plan, Result, TenantId, TenantStatus, id::PLATFORM};

use crate::{Kind, Principal, Role};

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

/// A key of a machine that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its id.
    pub id: Uuid,
    /// The tenant it is for, or `platform`.
    pub tenant: String,
    /// The only org it is good for, if there is one.
    pub org: Option<OrgId>,
    /// Its name.
    pub name: String,
    /// What it may do, if its owner may.
    pub role: Role,
    /// The user who answers for it; none where nobody had to log in.
    pub owner: Option<i32>,
    /// From which second of the epoch on it is no longer taken.
    pub expires_at: Option<u64>,
}

/// What a key is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// Who comes with it.
    pub principal: Principal,
    /// Whether its owner may work in every org of the tenant.
    pub in_every_org: bool,
}

impl KeyFacts {
    /// Whether it is still taken.
    pub fn is_good(&self) -> bool {
        self.expires_at.is_none_or(|end| crate::clock::now() < end)
    }

    /// Who comes with it, given its owner as that is now: the key may do no
    /// more. `None` where the owner is of another tenant by now.
    pub fn holder(&self, owner: Option<&UserFacts>) -> Option<KeyHolder> {
        let has = |role, tenant: &str| {
            owner.is_none_or(|owner| owner.tenant == tenant && owner.roles.contains(&role))
        };
        let platform = has(Role::PlatformAdmin, PLATFORM);
        let admin = platform || has(Role::TenantAdmin, &self.tenant);
        if !platform && owner.is_some_and(|owner| owner.tenant != self.tenant) {
            return None;
        }
        let role = match self.role {
            Role::PlatformAdmin if platform => Role::PlatformAdmin,
            Role::TenantAdmin if admin => Role::TenantAdmin,
            Role::PlatformAdmin | Role::TenantAdmin | Role::Member => Role::Member,
        };
        let principal = Principal {
            user_id: self.owner.unwrap_or_default(),
            tenant: self.tenant.clone(),
            org: self.org.clone(),
            // No user's name holds a colon.
            username: format!("key:{}", self.name),
            email: String::new(),
            roles: vec![role],
            kind: Kind::ApiKey,
            session: Some(self.id),
        };
        Some(KeyHolder { principal, in_every_org: admin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_do_no_more_than_its_owner() {
        let key = |tenant: &str, role| KeyFacts {
            id: Uuid::nil(),
            tenant: tenant.into(),
            org: None,
            name: "ci".into(),
            role,
            owner: Some(7),
            expires_at: None,
        };
        let owner = |tenant: &str, role| UserFacts { tenant: tenant.into(), roles: vec![role] };
        let worth = |key: &KeyFacts, owner: &UserFacts| {
            key.holder(Some(owner)).map(|holder| (holder.principal.roles[0], holder.in_every_org))
        };
        use Role::{Member, PlatformAdmin, TenantAdmin};
        for (key, owner, expected) in [
            (key("acme", TenantAdmin), owner("acme", TenantAdmin), Some((TenantAdmin, true))),
            (key("acme", TenantAdmin), owner("acme", Member), Some((Member, false))),
            (key("acme", Member), owner("acme", TenantAdmin), Some((Member, true))),
            (key("acme", TenantAdmin), owner("platform", PlatformAdmin), Some((TenantAdmin, true))),
            (key("acme", TenantAdmin), owner("platform", Member), None),
            (key("acme", Member), owner("beta", TenantAdmin), None),
            (key("acme", PlatformAdmin), owner("acme", PlatformAdmin), Some((Member, false))),
            (
                key("platform", PlatformAdmin),
                owner("platform", PlatformAdmin),
                Some((PlatformAdmin, true)),
            ),
            (key("platform", PlatformAdmin), owner("platform", Member), Some((Member, false))),
        ] {
            assert_eq!(worth(&key, &owner), expected, "{key:?} of {owner:?}");
        }
    }

    #[test]
    fn a_key_ends_when_it_says() {
        let mut key = KeyFacts {
            id: Uuid::nil(),
            tenant: "acme".into(),
            org: None,
            name: "ci".into(),
            role: Role::Member,
            owner: None,
            expires_at: Some(u64::MAX),
        };
        assert!(key.is_good());
        key.expires_at = Some(1);
        assert!(!key.is_good());
    }
}
