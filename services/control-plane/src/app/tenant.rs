//! Tenants.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use yuantus_auth::{Role, caller};
use yuantus_domain::{Error, IdempotencyKey, PageSize, Plan, Result, TenantId, Username};
use yuantus_identity::{
    entity::tenant::Model,
    for_tenant,
    query::{
        tenant::{self, NewTenant},
        user::{self, NewUser},
    },
};
use yuantus_operations::enqueue::request_hash;

use super::{App, Page, audit, display_name, page};

/// What CreateTenant was asked for.
#[derive(Debug)]
pub struct CreateTenant {
    /// The new tenant's id.
    pub id: TenantId,
    /// The name people read; may be empty.
    pub name: String,
    /// Its plan.
    pub plan: Plan,
    /// Its first administrator, if one is wanted.
    pub admin: Option<Administrator>,
    /// The client's key.
    pub idempotency: Option<IdempotencyKey>,
}

/// A first administrator.
#[derive(Debug)]
pub struct Administrator {
    /// Unique within the tenant.
    pub username: Username,
    /// In the clear.
    pub password: SecretString,
    /// May be empty.
    pub email: String,
}

impl App {
    /// Records a tenant and its first administrator.
    pub async fn create_tenant(&self, asked: CreateTenant) -> Result<Model> {
        let name = display_name(&asked.name, asked.id.as_str())?;
        // Without the password: its fast hash must not be stored.
        let request = json!({ "rpc": "CreateTenant", "id": asked.id, "name": name,
            "plan": asked.plan.as_str(),
            "admin": asked.admin.as_ref().map(|a| (a.username.as_str(), &a.email)) });
        let hash = request_hash(&request);
        if let Some(before) = self.tenant_made_before(&asked, &hash).await? {
            return Ok(before);
        }
        let password_hash = match &asked.admin {
            Some(admin) => Some(self.hash_new_password(admin).await?),
            None => None,
        };
        let txn = self.begin().await?;
        let idempotency = asked.idempotency.as_ref().map(|key| (key.as_str(), hash.clone()));
        let new = NewTenant { id: &asked.id, name, plan: asked.plan, idempotency };
        let created = match tenant::insert(&txn, new).await {
            Err(error) if error.is_unique_violation() => {
                drop(txn);
                let before = self.tenant_made_before(&asked, &hash).await?;
                return before.ok_or_else(|| Error::exists("tenant", &asked.id));
            }
            other => other?,
        };
        if let (Some(admin), Some(password_hash)) = (&asked.admin, password_hash) {
            let roles = &[Role::TenantAdmin.as_str()];
            let (username, email) = (&admin.username, &*admin.email);
            let tenant = asked.id.as_str();
            user::insert(&txn, NewUser { tenant, username, email, password_hash, roles }).await?;
        }
        let target = format!("tenants/{}", asked.id);
        audit::record(&txn, "tenant.create", asked.id.as_str(), "", target, request).await?;
        self.commit(txn).await?;
        Ok(created)
    }

    async fn tenant_made_before(&self, asked: &CreateTenant, hash: &[u8]) -> Result<Option<Model>> {
        let Some(key) = &asked.idempotency else { return Ok(None) };
        match tenant::by_idempotency_key(&self.db, key.as_str()).await? {
            Some(before) if before.request_hash.as_deref() == Some(hash) => Ok(Some(before)),
            Some(_) => Err(Error::IdempotencyKeyReused { key: key.as_str().into() }),
            None => Ok(None),
        }
    }

    async fn hash_new_password(&self, admin: &Administrator) -> Result<String> {
        if admin.password.expose_secret().is_empty() {
            return Err(Error::invalid("admin_password", "is required with admin_username"));
        }
        let username = admin.username.as_str();
        self.settings.password_policy.check("admin_password", username, &admin.password)?;
        Ok(self.passwords.hash(&admin.password).await?)
    }

    /// Reads one tenant.
    pub async fn get_tenant(&self, id: &TenantId) -> Result<Model> {
        caller::principal()?.may_act_for(id)?;
        let found = for_tenant(id).tenant(&self.db).await?;
        found.ok_or_else(|| Error::not_found("tenant", id))
    }

    /// Reads a page of tenants, in the order of their ids.
    pub async fn list_tenants(&self, size: PageSize, token: &str) -> Result<Page<Model>> {
        let after: Option<TenantId> = page::cursor(token)?;
        let after = after.as_ref().map(TenantId::as_str);
        let rows = tenant::page(&self.db, after, page::limit(size)).await?;
        Ok(Page::of(rows, size, |tenant| tenant.id.clone()))
    }
}
