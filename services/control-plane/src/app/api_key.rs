//! Keys of machines.
//!
//! Invariants: a key's secret is answered once, and only its hash is kept. A key
//! may do no more than its owner: here at its making, in the gateway whenever
//! it is used.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;
use yuantus_auth::{Kind, Role, caller, opaque};
use yuantus_domain::{Error, OrgId, OrgKey, PageSize, Result, TenantId, Username, id::PLATFORM};
use yuantus_identity::{entity::api_key::Model, for_org, for_tenant, query::api_key::NewKey};

use super::{App, Page, audit, page};

/// How much of a secret people are shown.
const PREFIX: usize = 9;

/// What CreateApiKey was asked for.
#[derive(Debug)]
pub struct CreateApiKey {
    /// The tenant, or `platform`.
    pub tenant: TenantId,
    /// Unique among the tenant's.
    pub name: Username,
    /// What it may do.
    pub role: Role,
    /// The only org it is good for.
    pub org: Option<OrgId>,
    /// For how many seconds it is good; for ever if none.
    pub seconds: Option<i64>,
}

fn key_name(tenant: &TenantId, id: Uuid) -> String {
    format!("tenants/{tenant}/api-keys/{id}")
}

impl CreateApiKey {
    /// Refuses what no key can be.
    fn check(&self) -> Result<()> {
        let platform = self.tenant.as_str() == PLATFORM;
        let rule = match (self.role, platform) {
            (Role::PlatformAdmin, false) => "must be member or tenant_admin",
            (Role::TenantAdmin, true) => "must be member or platform_admin",
            // Administrators' work is not bound to the org in context.
            (Role::TenantAdmin, false) if self.org.is_some() => "must be member with an org_id",
            _ => return Ok(()),
        };
        Err(Error::invalid("role", rule))
    }
}

impl App {
    /// Makes a key; answers its secret too.
    pub async fn create_api_key(&self, asked: CreateApiKey) -> Result<(Model, SecretString)> {
        let caller = caller::principal()?;
        caller.may_act_for(&asked.tenant)?;
        if caller.kind != Kind::User {
            return Err(Error::denied("only users make keys, which are theirs"));
        }
        asked.check()?;
        self.tenant_or_platform(&asked.tenant).await?;
        if let Some(org) = &asked.org {
            let key = OrgKey { tenant: asked.tenant.clone(), org: org.clone() };
            let found = for_org(&key).org(&self.db).await?;
            found.ok_or_else(|| Error::not_found("org", &key))?;
        }
        let secret = opaque::generate(opaque::API_KEY)?;
        let new = NewKey {
            id: Uuid::now_v7(),
            org: asked.org.as_ref().map(OrgId::as_str),
            name: asked.name.as_str(),
            prefix: &secret.expose_secret()[..PREFIX],
            secret_hash: opaque::hash(secret.expose_secret()).to_vec(),
            role: asked.role.as_str(),
            created_by: &caller.display_name(),
            owner: Some(caller.user_id).filter(|id| *id > 0),
            seconds: asked.seconds,
        };
        let txn = self.begin().await?;
        let made = for_tenant(&asked.tenant).insert_api_key(&txn, new).await;
        let made = made.map_err(|error| match error.is_unique_violation() {
            true => Error::exists("API key", asked.name.as_str()),
            false => error.into(),
        })?;
        let details = json!({ "name": made.name, "role": made.role, "prefix": made.prefix,
            "expires_at": made.expires_at });
        let (tenant, org) = (asked.tenant.as_str(), made.org_id.as_deref().unwrap_or_default());
        let target = key_name(&asked.tenant, made.id);
        audit::record(&txn, "api_key.create", tenant, org, target, details).await?;
        self.commit(txn).await?;
        Ok((made, secret))
    }

    /// Reads a page of a tenant's keys, newest first.
    pub async fn list_api_keys(
        &self,
        tenant: &TenantId,
        size: PageSize,
        token: &str,
    ) -> Result<Page<Model>> {
        caller::principal()?.may_act_for(tenant)?;
        let before: Option<Uuid> = page::cursor(token)?;
        self.tenant_or_platform(tenant).await?;
        let rows = for_tenant(tenant).api_keys(&self.db, before, page::limit(size)).await?;
        Ok(Page::of(rows, size, |key| key.id.to_string()))
    }

    /// Ends a key.
    pub async fn revoke_api_key(&self, tenant: &TenantId, id: Uuid) -> Result<()> {
        caller::principal()?.may_act_for(tenant)?;
        let txn = self.begin().await?;
        let revoked = for_tenant(tenant).revoke_api_key(&txn, id).await?;
        let revoked = revoked.ok_or_else(|| Error::not_found("API key", id))?;
        let details = json!({ "name": revoked.name });
        let (target, org) = (key_name(tenant, id), revoked.org_id.unwrap_or_default());
        audit::record(&txn, "api_key.revoke", tenant.as_str(), &org, target, details).await?;
        self.commit(txn).await
    }
}
