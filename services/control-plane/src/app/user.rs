//! Users.

use sea_orm::ConnectionTrait;
use secrecy::SecretString;
use serde_json::{Map, json};
use yuantus_auth::{Role, caller};
use yuantus_domain::{Email, Error, PageSize, Result, TenantId, Username, id::PLATFORM};
use yuantus_identity::{
    entity::user::Model,
    for_tenant,
    query::user::{self, Change, NewUser},
};

use super::{App, Page, audit, display_name, page};

/// The highest id a client may choose: what is above is for the users to come.
const MAX_CHOSEN_ID: i32 = 1_000_000_000;

/// What CreateUser was asked for.
#[derive(Debug)]
pub struct CreateUser {
    /// The user's tenant, or `platform`.
    pub tenant: TenantId,
    /// Unique within the tenant.
    pub username: Username,
    /// In the clear.
    pub password: SecretString,
    /// The address, if there is one.
    pub email: Option<Email>,
    /// Whether the user administers the tenant.
    pub is_superuser: bool,
    /// An id of the caller's choice.
    pub id: Option<i32>,
}

/// What UpdateUser was asked for; `None` leaves it.
#[derive(Debug, Default)]
pub struct UpdateUser {
    /// The address; the inner `None` is no address.
    pub email: Option<Option<Email>>,
    /// Whether the user may log in.
    pub is_active: Option<bool>,
    /// Whether the user administers the tenant.
    pub is_superuser: Option<bool>,
    /// The name people read; empty for none.
    pub name: Option<String>,
}

/// A page of a tenant's things, and how many there are in all.
#[derive(Debug)]
pub struct Counted<T> {
    /// The page.
    pub page: Page<T>,
    /// How many there are.
    pub total: u64,
}

/// How the API names a user.
pub(super) fn user_name(tenant: &TenantId, id: i32) -> String {
    format!("tenants/{tenant}/users/{id}")
}

/// The role that administers a tenant, the platform's own included.
pub(super) fn admin_role(tenant: &TenantId) -> Role {
    if tenant.as_str() == PLATFORM { Role::PlatformAdmin } else { Role::TenantAdmin }
}

fn roles(tenant: &TenantId, is_superuser: bool) -> Vec<&'static str> {
    let role = if is_superuser { admin_role(tenant) } else { Role::Member };
    vec![role.as_str()]
}

/// Says which of a user's unique things another has.
fn taken(error: yuantus_identity::Error, username: &str, email: &str) -> Error {
    match error.constraint().as_deref() {
        Some("users_email") => Error::exists("user with address", email),
        Some(_) if error.is_unique_violation() => Error::exists("user", username),
        _ => error.into(),
    }
}

impl App {
    /// Records a user; people read `name`, which may be empty.
    pub async fn create_user(&self, asked: CreateUser, name: &str) -> Result<Model> {
        let caller = caller::principal()?;
        caller.may_act_for(&asked.tenant)?;
        if let Some(id) = asked.id {
            if !caller.is_platform() {
                return Err(Error::denied("only platform administrators choose the ids of users"));
            }
            if !(1..=MAX_CHOSEN_ID).contains(&id) {
                return Err(Error::invalid("user_id", "must be 1 to 1000000000"));
            }
        }
        let name = display_name(name, "")?;
        self.tenant_or_platform(&asked.tenant).await?;
        let username = &asked.username;
        self.settings.password_policy.check("password", username.as_str(), &asked.password)?;
        let password_hash = self.passwords.hash(&asked.password).await?;
        let txn = self.begin().await?;
        let mut created = insert_user(&txn, &asked, password_hash).await?;
        if !name.is_empty() {
            for_tenant(&asked.tenant).name_user(&txn, created.id, name).await?;
            name.clone_into(&mut created.name);
        }
        self.commit(txn).await?;
        Ok(created)
    }

    /// Refuses a tenant that is not there; the platform always is.
    pub(super) async fn tenant_or_platform(&self, tenant: &TenantId) -> Result<()> {
        if tenant.as_str() == PLATFORM || for_tenant(tenant).tenant(&self.db).await?.is_some() {
            return Ok(());
        }
        Err(Error::not_found("tenant", tenant))
    }

    /// Reads one user.
    pub async fn get_user(&self, tenant: &TenantId, id: i32) -> Result<Model> {
        caller::principal()?.may_act_for(tenant)?;
        let found = for_tenant(tenant).user(&self.db, id).await?;
        found.ok_or_else(|| Error::not_found("user", id))
    }

    /// Reads one user by its name.
    pub async fn find_user(&self, tenant: &TenantId, name: &Username) -> Result<Option<Model>> {
        caller::principal()?.may_act_for(tenant)?;
        Ok(user::find(&self.db, tenant.as_str(), name.as_str()).await?)
    }

    /// Reads a page of a tenant's users, in the order of their ids.
    pub async fn list_users(
        &self,
        tenant: &TenantId,
        size: PageSize,
        token: &str,
    ) -> Result<Counted<Model>> {
        caller::principal()?.may_act_for(tenant)?;
        let after: Option<i32> = page::cursor(token)?;
        self.tenant_or_platform(tenant).await?;
        let rows = for_tenant(tenant).users(&self.db, after, page::limit(size)).await?;
        let total = for_tenant(tenant).count_users(&self.db).await?;
        Ok(Counted { page: Page::of(rows, size, |user| user.id.to_string()), total })
    }

    /// Changes a user. One who is deactivated is logged out.
    pub async fn update_user(
        &self,
        tenant: &TenantId,
        id: i32,
        asked: UpdateUser,
    ) -> Result<Model> {
        caller::principal()?.may_act_for(tenant)?;
        let name = asked.name.as_deref().map(|name| display_name(name, "")).transpose()?;
        let txn = self.begin().await?;
        let before = for_tenant(tenant).user(&txn, id).await?;
        let before = before.ok_or_else(|| Error::not_found("user", id))?;
        if let Some(name) = name {
            for_tenant(tenant).name_user(&txn, id, name).await?;
        }
        if asked.is_active == Some(false) || asked.is_superuser == Some(false) {
            keep_an_admin(&txn, tenant, id).await?;
        }
        let email = asked.email.map(|email| email.map_or(String::new(), |e| e.as_str().into()));
        let mut details = Map::new();
        details.extend(name.map(|name| ("name".into(), json!(name))));
        details.extend(email.as_ref().map(|email| ("email".into(), json!(email))));
        details.extend(asked.is_active.map(|active| ("is_active".into(), json!(active))));
        details.extend(asked.is_superuser.map(|yes| ("is_superuser".into(), json!(yes))));
        let change = Change {
            email: email.clone(),
            is_active: asked.is_active,
            roles: asked.is_superuser.map(|yes| roles(tenant, yes)),
            password_hash: None,
        };
        let address = email.unwrap_or_default();
        let updated = for_tenant(tenant).update_user(&txn, id, change).await;
        let updated = updated.map_err(|error| taken(error, &before.username, &address))?;
        let updated = updated.ok_or_else(|| Error::not_found("user", id))?;
        if asked.is_active == Some(false) {
            for_tenant(tenant).revoke_sessions(&txn, id, "user deactivated").await?;
        }
        let target = user_name(tenant, id);
        audit::record(&txn, "user.update", tenant.as_str(), "", target, details.into()).await?;
        self.commit(txn).await?;
        Ok(updated)
    }

    /// Deletes a user, with memberships and sessions.
    pub async fn delete_user(&self, tenant: &TenantId, id: i32) -> Result<()> {
        caller::principal()?.may_act_for(tenant)?;
        let txn = self.begin().await?;
        let before = for_tenant(tenant).user(&txn, id).await?;
        let before = before.ok_or_else(|| Error::not_found("user", id))?;
        keep_an_admin(&txn, tenant, id).await?;
        for_tenant(tenant).delete_user(&txn, id).await?;
        let details = json!({ "username": before.username });
        let target = user_name(tenant, id);
        audit::record(&txn, "user.delete", tenant.as_str(), "", target, details).await?;
        self.commit(txn).await
    }

    /// Gives a user another password; all sessions end.
    pub async fn reset_password(
        &self,
        tenant: &TenantId,
        id: i32,
        password: &SecretString,
    ) -> Result<Model> {
        let user = self.get_user(tenant, id).await?;
        self.set_password(tenant, &user, password, "user.reset_password").await
    }

    /// Gives a user another password and ends all sessions; an error names
    /// `password`.
    pub(super) async fn set_password(
        &self,
        tenant: &TenantId,
        user: &Model,
        password: &SecretString,
        action: &'static str,
    ) -> Result<Model> {
        self.settings.password_policy.check("password", &user.username, password)?;
        let hash = self.passwords.hash(password).await?;
        let txn = self.begin().await?;
        let change = Change { password_hash: Some(hash), ..Change::default() };
        let updated = for_tenant(tenant).update_user(&txn, user.id, change).await?;
        let updated = updated.ok_or_else(|| Error::not_found("user", user.id))?;
        let ended = for_tenant(tenant).revoke_sessions(&txn, user.id, "password changed").await?;
        let details = json!({ "username": user.username, "sessions_ended": ended });
        let target = user_name(tenant, user.id);
        audit::record(&txn, action, tenant.as_str(), "", target, details).await?;
        self.commit(txn).await?;
        Ok(updated)
    }
}

/// Records a user and says so in the audit trail, in the caller's transaction.
pub(super) async fn insert_user(
    txn: &impl ConnectionTrait,
    asked: &CreateUser,
    password_hash: String,
) -> Result<Model> {
    let (tenant, username) = (asked.tenant.as_str(), asked.username.as_str());
    let email = asked.email.as_ref().map_or("", Email::as_str);
    let new = NewUser {
        id: asked.id,
        tenant,
        username: &asked.username,
        email,
        password_hash,
        roles: &roles(&asked.tenant, asked.is_superuser),
    };
    let created = user::insert(txn, new).await.map_err(|e| match e.constraint().as_deref() {
        Some("users_pkey") => Error::exists("user", asked.id.unwrap_or_default()),
        _ => taken(e, username, email),
    })?;
    let details = json!({ "username": username, "email": email,
        "is_superuser": asked.is_superuser });
    let target = user_name(&asked.tenant, created.id);
    audit::record(txn, "user.create", tenant, "", target, details).await?;
    Ok(created)
}

/// Refuses where the user is the last who administers the tenant: nobody could
/// bring one back.
async fn keep_an_admin(txn: &impl ConnectionTrait, tenant: &TenantId, id: i32) -> Result<()> {
    let admins = for_tenant(tenant).lock_active_with_role(txn, admin_role(tenant).as_str()).await?;
    if admins == [id] {
        let message = format!("user `{id}` is the last active administrator of `{tenant}`");
        return Err(Error::precondition("LAST_ADMIN", message));
    }
    Ok(())
}
