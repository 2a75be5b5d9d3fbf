//! Logging in.

use std::time::Duration;

use sea_orm::TransactionTrait;
use secrecy::SecretString;
use serde_json::json;
use yuantus_auth::{Kind, Passwords, Principal, Role, caller, policy::Policy};
use yuantus_domain::{Error, OrgId, OrgKey, Result, TenantId, Username, id::PLATFORM};
use yuantus_identity::{
    Context, Database,
    entity::user::Model,
    for_org,
    query::user::{self, NewUser},
};

use super::{App, audit};

/// A token and whose it is.
#[derive(Debug)]
pub struct Login {
    /// The token.
    pub token: SecretString,
    /// How long it is good for.
    pub good_for: Duration,
    /// What the next one is had for; none where the session has one already.
    pub refresh: Option<SecretString>,
    /// Whose it is.
    pub principal: Principal,
}

const WRONG: Error = Error::Unauthenticated { message: "tenant, username or password is wrong" };

impl App {
    /// Exchanges a password for a token. Whatever is wrong, the answer and
    /// the work are the same.
    pub async fn login(
        &self,
        tenant: &str,
        username: &str,
        password: &SecretString,
        org: Option<OrgId>,
    ) -> Result<Login> {
        let found = user::find(&self.db, tenant, username).await?;
        let good = match &found {
            Some(user) => {
                self.passwords.verify(password, &user.password_hash).await? && user.is_active
            }
            None => {
                self.passwords.verify_unknown(password).await?;
                false
            }
        };
        let Some(user) = found.filter(|_| good) else {
            let details = json!({ "username": username });
            self.record_refusal("login.fail", tenant, "auth", details, username);
            return Err(WRONG);
        };
        let mut principal = principal(&user)?;
        if let Some(org) = org {
            if !self.may_enter(&principal, &org).await? {
                return Err(Error::denied(format!("not a member of org `{org}`")));
            }
            principal.org = Some(org);
        }
        let txn = self.begin().await?;
        // Whoever changes the password ends the sessions that are there: this
        // one is there before, or is not opened.
        let now = user::lock_by_id(&txn, user.id).await?;
        let same = |now: &Model| now.is_active && now.password_hash == user.password_hash;
        if !now.as_ref().is_some_and(same) {
            return Err(WRONG);
        }
        let login = self.open_session(&txn, principal).await?;
        let details = json!({ "username": username });
        audit::record_of(&txn, &login.principal, "login", "auth".into(), details).await?;
        self.commit(txn).await?;
        Ok(login)
    }

    /// Whether a user may work in an org of the own tenant: members may, and
    /// the tenant's administrators.
    pub(super) async fn may_enter(&self, user: &Principal, org: &OrgId) -> Result<bool> {
        let tenant = TenantId::parse("tenant_id", &user.tenant)?;
        let key = OrgKey { tenant, org: org.clone() };
        Ok(match user.is_tenant_admin() {
            true => for_org(&key).org(&self.db).await?.is_some(),
            false => self.membership(&key, user.user_id).await?.is_some(),
        })
    }

    /// Reads who the caller is, with the address on record.
    pub async fn me(&self) -> Result<(Principal, String)> {
        let principal = caller::principal()?;
        let user = user::by_id(&self.db, principal.user_id).await?;
        Ok((principal, user.map(|user| user.email).unwrap_or_default()))
    }

    /// See [`ensure_platform_admin`].
    pub async fn ensure_platform_admin(
        &self,
        username: &Username,
        password: &SecretString,
    ) -> Result<bool> {
        let policy = self.settings.password_policy;
        ensure_platform_admin(&self.db, &self.passwords, policy, username, password).await
    }
}

/// A user as who calls.
pub(super) fn principal(user: &Model) -> Result<Principal> {
    let names: Vec<String> = serde_json::from_value(user.roles.clone()).map_err(Error::internal)?;
    Ok(Principal {
        user_id: user.id,
        tenant: user.tenant_id.clone(),
        org: None,
        username: user.username.clone(),
        email: user.email.clone(),
        roles: names.iter().filter_map(|name| Role::parse(name)).collect(),
        kind: Kind::User,
        session: None,
    })
}

/// Makes sure that a platform administrator of this name is there, with this
/// password if it has to be made. Answers whether it was.
pub async fn ensure_platform_admin(
    db: &Database,
    passwords: &Passwords,
    policy: Policy,
    username: &Username,
    password: &SecretString,
) -> Result<bool> {
    if user::find(db, PLATFORM, username.as_str()).await?.is_some() {
        return Ok(false);
    }
    policy.check("password", username.as_str(), password)?;
    let password_hash = passwords.hash(password).await?;
    let txn = db.begin().await.during("begin")?;
    let roles = &[Role::PlatformAdmin.as_str()];
    let new = NewUser { id: None, tenant: PLATFORM, username, email: "", password_hash, roles };
    user::insert(&txn, new).await?;
    let target = format!("users/{}", username.as_str());
    audit::record(&txn, "platform_admin.create", PLATFORM, "", target, json!({})).await?;
    txn.commit().await.during("commit")?;
    Ok(true)
}
