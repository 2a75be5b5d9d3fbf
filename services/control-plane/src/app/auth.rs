//! Logging in.

use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait};
use secrecy::SecretString;
use serde_json::json;
use yuantus_auth::{Kind, Passwords, Principal, Role, caller, policy::Policy};
use yuantus_domain::{
    Email, Error, OrgId, OrgKey, PageSize, Result, TenantId, Username, id::PLATFORM,
};
use yuantus_identity::{
    Context, Database,
    entity::{org, user::Model},
    for_org, for_tenant,
    query::{
        session,
        user::{self, NewUser},
    },
};

use super::{App, Page, audit, page, user::user_name};

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

/// Who says to be whom.
#[derive(Debug)]
pub enum Who {
    /// The user of this name.
    Name(Username),
    /// The user of this address.
    Address(Email),
}

impl Who {
    fn as_str(&self) -> &str {
        match self {
            Self::Name(name) => name.as_str(),
            Self::Address(email) => email.as_str(),
        }
    }
}

/// The caller.
#[derive(Debug)]
pub struct Me {
    /// Who it is.
    pub principal: Principal,
    /// The address on record.
    pub email: String,
    /// The org in context.
    pub org: Option<OrgId>,
    /// What the caller is in the tenant, and in that org.
    pub roles: Vec<String>,
}

const WRONG: Error = Error::Unauthenticated { message: "tenant, username or password is wrong" };

impl App {
    /// Exchanges a password for a token. Whatever is wrong, the answer and
    /// the work are the same.
    pub async fn login(
        &self,
        tenant: &TenantId,
        who: &Who,
        password: &SecretString,
        org: Option<OrgId>,
    ) -> Result<Login> {
        let (of, username) = (tenant, who.as_str());
        let tenant = tenant.as_str();
        let source = caller::current().map(|caller| caller.client_ip.clone()).unwrap_or_default();
        self.attempt(of, username, self.attempts.from_source(&source))?;
        let found = match who {
            Who::Name(name) => user::find(&self.db, tenant, name.as_str()).await?,
            Who::Address(email) => user::find_by_email(&self.db, tenant, email.as_str()).await?,
        };
        // A name and an address of one user are one account.
        let account = match &found {
            Some(user) => user.id.to_string(),
            None => format!("?{}", username.to_lowercase()),
        };
        self.attempt(of, username, self.attempts.at_account(tenant, &account))?;
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
        // That the password was right is only known to who may know of the tenant.
        if tenant != PLATFORM {
            self.tenant_facts(of).await?.ok_or(WRONG)?.check()?;
        }
        let mut principal = principal(&user)?;
        if let Some(org) = org {
            if !may_enter(&self.db, &principal, &org).await? {
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

    /// Records that an attempt was one too many, if it was.
    fn attempt(
        &self,
        tenant: &TenantId,
        username: &str,
        counted: yuantus_auth::Result<()>,
    ) -> Result<()> {
        counted.map_err(|error| {
            let details = json!({ "username": username, "reason": "too many attempts" });
            self.record_refusal("login.fail", tenant.as_str(), "auth", details, username);
            error.into()
        })
    }

    /// Gives the caller another password, and ends all sessions. Guesses of
    /// the present one count as attempts to log in.
    pub async fn change_password(&self, current: &SecretString, new: &SecretString) -> Result<()> {
        let principal = caller::principal()?;
        let tenant = TenantId::parse("tenant_id", &principal.tenant)?;
        let user = match principal.kind {
            Kind::User => for_tenant(&tenant).user(&self.db, principal.user_id).await?,
            _ => None,
        };
        let user = user.ok_or_else(|| Error::denied("only users have passwords"))?;
        let account = user.id.to_string();
        self.attempt(&tenant, &user.username, self.attempts.at_account(tenant.as_str(), &account))?;
        if !self.passwords.verify(current, &user.password_hash).await? {
            let (target, about) = (user_name(&tenant, user.id), &user.username);
            let details = json!({ "username": user.username, "reason": "wrong password" });
            self.record_refusal("login.fail", tenant.as_str(), &target, details, about);
            return Err(Error::invalid("current_password", "is not the password"));
        }
        self.set_password(&tenant, &user, new, "user.change_password").await.map(drop)
    }

    /// A token of the caller's session for another org.
    pub async fn switch_org(&self, org: OrgId) -> Result<Login> {
        let (mut principal, id) = super::session::own_session()?;
        if !may_enter(&self.db, &principal, &org).await? {
            return Err(Error::denied(format!("not a member of org `{org}`")));
        }
        let txn = self.begin().await?;
        let life = self.settings.session_life;
        let seconds = session::extend(&txn, id, Some(org.as_str()), life).await?;
        let seconds = seconds.ok_or(super::session::ENDED)?;
        principal.org = Some(org);
        let at_most = Duration::from_secs(seconds.unsigned_abs());
        super::clock::ensure_known(&self.db).await?;
        let (token, good_for) = self.tokens.issue_for(&principal, at_most)?;
        let target = super::session::session_name(id);
        audit::record_of(&txn, &principal, "org.switch", target, json!({})).await?;
        self.commit(txn).await?;
        Ok(Login { token, good_for, refresh: None, principal })
    }

    /// Reads a page of the orgs that the caller may work in, in the ids' order.
    pub async fn list_own_orgs(
        &self,
        size: PageSize,
        token: &str,
    ) -> Result<(Option<TenantId>, Page<org::Model>)> {
        let principal = caller::principal()?;
        let after: Option<String> = page::cursor(token)?;
        let after = after.as_deref().map(|after| OrgId::parse("page_token", after));
        let after = after.transpose().map_err(|_| page::refused())?;
        let after = after.as_ref().map(OrgId::as_str);
        let Some(tenant) = caller::current().and_then(|caller| caller.tenant.clone()) else {
            return Ok((None, Page { items: Vec::new(), next: String::new() }));
        };
        let limit = page::limit(size);
        let rows = if principal.is_platform() || principal.is_tenant_admin() {
            let rows = for_tenant(&tenant).orgs(&self.db, after, limit).await?;
            rows.into_iter().map(|(org, _)| org).collect()
        } else {
            for_tenant(&tenant).orgs_of(&self.db, principal.user_id, after, limit).await?
        };
        Ok((Some(tenant), Page::of(rows, size, |org| org.id.clone())))
    }

    /// Reads who the caller is, with the address on record.
    pub async fn me(&self) -> Result<Me> {
        let principal = caller::principal()?;
        let user = user::by_id(&self.db, principal.user_id).await?;
        let caller = caller::current();
        let mut roles: Vec<String> = principal.roles.iter().map(ToString::to_string).collect();
        for role in caller.iter().flat_map(|caller| caller.org_roles.iter()) {
            if !roles.contains(role) {
                roles.push(role.clone());
            }
        }
        Ok(Me {
            email: user.map(|user| user.email).unwrap_or_default(),
            org: caller.and_then(|caller| caller.org.clone()),
            roles,
            principal,
        })
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

/// Whether a user may work in an org of the own tenant: members may, and the
/// tenant's administrators.
pub(super) async fn may_enter(
    db: &impl ConnectionTrait,
    user: &Principal,
    org: &OrgId,
) -> Result<bool> {
    let tenant = TenantId::parse("tenant_id", &user.tenant)?;
    let key = OrgKey { tenant, org: org.clone() };
    Ok(match user.is_tenant_admin() {
        true => for_org(&key).org(db).await?.is_some(),
        false => {
            let member = for_org(&key).member(db, user.user_id).await?;
            member.is_some_and(|member| member.is_active)
        }
    })
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
