//! Tenants.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use yuantus_auth::{Role, caller, tenancy::TenantFacts};
use yuantus_domain::{
    Error, IdempotencyKey, PageSize, Plan, Result, TenantId, TenantStatus, Username,
};
use yuantus_identity::{
    entity::tenant::Model,
    for_tenant,
    query::{
        tenant::{self, Changes, NewTenant},
        user::{self, NewUser},
    },
};
use yuantus_operations::enqueue::request_hash;

use super::{App, Page, audit, context, display_name, page, user::Counted};

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

/// What UpdateTenant was asked for; what is not given stays.
#[derive(Debug)]
pub struct UpdateTenant {
    /// Which tenant.
    pub id: TenantId,
    /// The name people read.
    pub name: Option<String>,
    /// Whether its requests are served.
    pub is_active: Option<bool>,
    /// Its plan.
    pub plan: Option<Plan>,
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
    pub async fn create_tenant(&self, asked: CreateTenant) -> Result<TenantFacts> {
        let name = display_name(&asked.name, asked.id.as_str())?;
        // Without the password: its fast hash must not be stored.
        let request = json!({ "rpc": "CreateTenant", "id": asked.id, "name": name,
            "plan": asked.plan.as_str(),
            "admin": asked.admin.as_ref().map(|a| (a.username.as_str(), &a.email)) });
        let hash = request_hash(&request);
        if let Some(before) = self.tenant_made_before(&asked, &hash).await? {
            return context::tenant_facts(before);
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
                let before = before.ok_or_else(|| Error::exists("tenant", &asked.id))?;
                return context::tenant_facts(before);
            }
            other => other?,
        };
        if let (Some(admin), Some(password_hash)) = (&asked.admin, password_hash) {
            let roles = &[Role::TenantAdmin.as_str()];
            let (username, email) = (&admin.username, &*admin.email);
            let tenant = asked.id.as_str();
            user::insert(&txn, NewUser { id: None, tenant, username, email, password_hash, roles })
                .await?;
        }
        let target = format!("tenants/{}", asked.id);
        audit::record(&txn, "tenant.create", asked.id.as_str(), "", target, request).await?;
        self.commit(txn).await?;
        context::tenant_facts(created)
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
    pub async fn get_tenant(&self, id: &TenantId) -> Result<TenantFacts> {
        caller::principal()?.may_act_for(id)?;
        let found = self.tenant_facts(id).await?;
        found.ok_or_else(|| Error::not_found("tenant", id))
    }

    /// Changes a tenant.
    pub async fn update_tenant(&self, asked: UpdateTenant) -> Result<TenantFacts> {
        let id = &asked.id;
        let name = asked.name.as_deref().map(|name| display_name(name, id.as_str())).transpose()?;
        let txn = self.begin().await?;
        let found = for_tenant(id).tenant_for_update(&txn).await?;
        let before = context::tenant_facts(found.ok_or_else(|| Error::not_found("tenant", id))?)?;
        let status = asked.is_active.map(|active| next_status(&before, active)).transpose()?;
        let changes = Changes { name, status, plan: asked.plan };
        let changed = for_tenant(id).update_tenant(&txn, changes).await?;
        let changed = changed.ok_or_else(|| Error::not_found("tenant", id))?;
        let action = match status.filter(|status| *status != before.status) {
            Some(TenantStatus::Suspended) => "tenant.suspend",
            Some(_) => "tenant.reactivate",
            None => "tenant.update",
        };
        let details = json!({ "name": name, "plan": asked.plan.map(Plan::as_str),
            "status": status.map(TenantStatus::as_str) });
        audit::record(&txn, action, id.as_str(), "", format!("tenants/{id}"), details).await?;
        self.commit(txn).await?;
        context::tenant_facts(changed)
    }

    /// Reads a page of tenants, in the order of their ids, and counts all of them
    /// where that is asked for.
    pub async fn list_tenants(
        &self,
        size: PageSize,
        token: &str,
        with_total: bool,
    ) -> Result<Counted<TenantFacts>> {
        let after: Option<TenantId> = page::cursor(token)?;
        let after = after.as_ref().map(TenantId::as_str);
        let rows = tenant::page(&self.db, after, page::limit(size)).await?;
        let rows = rows.into_iter().map(context::tenant_facts).collect::<Result<Vec<_>>>()?;
        let page = Page::of(rows, size, |tenant| tenant.id.to_string());
        // Counting reads every tenant there is.
        let total = if with_total { tenant::count(&self.db).await? } else { 0 };
        Ok(Counted { page, total })
    }
}

/// Where a tenant is once it is served again, or no longer.
fn next_status(before: &TenantFacts, active: bool) -> Result<TenantStatus> {
    match before.status {
        TenantStatus::Active | TenantStatus::Suspended if active => Ok(TenantStatus::Active),
        TenantStatus::Active | TenantStatus::Suspended => Ok(TenantStatus::Suspended),
        TenantStatus::Provisioning | TenantStatus::Failed => {
            let message = format!("tenant `{}` is {}", before.id, before.status);
            Err(Error::precondition("TENANT_NOT_ACTIVE", message))
        }
    }
}
