//! Who somebody is, once the password or the token has shown it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yuantus_domain::{Error, OrgId, Result, TenantId, id::PLATFORM};

use crate::Role;

/// What kind of credential somebody came with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A user's token; also who comes without one where none is asked for.
    #[default]
    User,
    /// The key of a machine.
    ApiKey,
    /// The token of the configuration, for the first steps.
    Bootstrap,
    /// A token from the server's console.
    BreakGlass,
}

/// An authenticated user, or what stands for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The user's id; 0 for what is no user.
    pub user_id: i32,
    /// The user's tenant; `platform` for platform administrators.
    pub tenant: String,
    /// The org the token is for, if it is for one.
    pub org: Option<OrgId>,
    /// The user's name within the tenant.
    pub username: String,
    /// The user's address; empty where there is none, and in tokens.
    #[serde(default, skip_serializing)]
    pub email: String,
    /// What the user is there.
    pub roles: Vec<Role>,
    /// What kind of credential it is.
    #[serde(default)]
    pub kind: Kind,
    /// The session that a token belongs to; the key itself of an API key.
    #[serde(default, rename = "sid")]
    pub session: Option<Uuid>,
}

impl Principal {
    /// Who calls without a token where authentication is switched off: a
    /// platform administrator.
    pub fn anonymous() -> Self {
        Self {
            user_id: 0,
            tenant: PLATFORM.to_owned(),
            org: None,
            username: "anonymous".to_owned(),
            email: String::new(),
            roles: vec![Role::PlatformAdmin],
            kind: Kind::User,
            session: None,
        }
    }

    /// Who comes with the configuration's token: a platform administrator.
    pub fn bootstrap() -> Self {
        let username = "bootstrap".to_owned();
        Self { username, kind: Kind::Bootstrap, ..Self::anonymous() }
    }

    /// Who is at the server's console: a platform administrator.
    pub fn console() -> Self {
        Self { username: "console".to_owned(), ..Self::anonymous() }
    }

    /// Who has opened a session of `id` at the server's console.
    pub fn break_glass(id: Uuid) -> Self {
        let username = "break-glass".to_owned();
        Self { username, kind: Kind::BreakGlass, session: Some(id), ..Self::anonymous() }
    }

    /// Whether this is a platform administrator. The role counts in the
    /// platform's own tenant only: no tenant can hand it out.
    pub fn is_platform(&self) -> bool {
        self.tenant == PLATFORM && self.roles.contains(&Role::PlatformAdmin)
    }

    /// Whether this is an administrator of its own tenant.
    pub fn is_tenant_admin(&self) -> bool {
        self.tenant != PLATFORM && self.roles.contains(&Role::TenantAdmin)
    }

    /// Whether this is a user of a tenant, not of the platform.
    pub fn is_of_a_tenant(&self) -> bool {
        self.tenant != PLATFORM
    }

    /// Refuses unless the principal may act for `tenant`: platform
    /// administrators may for all, others for their own.
    pub fn may_act_for(&self, tenant: &TenantId) -> Result<()> {
        if self.is_platform() || self.tenant == tenant.as_str() {
            return Ok(());
        }
        Err(Error::denied(format!("`{}` may not act for tenant `{tenant}`", self.display_name())))
    }

    /// `tenant/username`, as the audit trail shows the actor.
    pub fn display_name(&self) -> String {
        format!("{}/{}", self.tenant, self.username)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(tenant: &str, role: Role) -> Principal {
        Principal { tenant: tenant.into(), roles: vec![role], ..Principal::anonymous() }
    }

    #[test]
    fn the_platform_role_is_worth_nothing_in_a_tenant() {
        assert!(user("platform", Role::PlatformAdmin).is_platform());
        assert!(!user("acme", Role::PlatformAdmin).is_platform());
    }

    #[test]
    fn tenants_act_for_themselves_and_the_platform_for_all() {
        let acme = TenantId::parse("tenant_id", "acme").unwrap();
        assert!(user("acme", Role::Member).may_act_for(&acme).is_ok());
        assert!(user("other", Role::TenantAdmin).may_act_for(&acme).is_err());
        assert!(user("platform", Role::PlatformAdmin).may_act_for(&acme).is_ok());
        assert!(user("platform", Role::Member).may_act_for(&acme).is_err());
    }
}
