//! Policies of tenants.

use serde_json::{Value, json};
use yuantus_auth::caller;
use yuantus_domain::{Error, Result, TenantId, id::Area};
use yuantus_identity::{entity::policy::Model, for_tenant, query::policy::NewPolicy};

use super::{App, audit};

/// The largest policy, as JSON.
const MAX_BYTES: usize = 64 * 1024;

impl App {
    /// Reads a version of a policy; the newest if `None`.
    pub async fn get_policy(
        &self,
        tenant: &TenantId,
        area: &Area,
        version: Option<i32>,
    ) -> Result<Model> {
        caller::principal()?.may_act_for(tenant)?;
        let found = for_tenant(tenant).policy(&self.db, area.as_str(), version).await?;
        found.ok_or_else(|| match version {
            Some(version) => Error::not_found("policy", format!("{area} version {version}")),
            None => Error::not_found("policy", area),
        })
    }

    /// Records a new version of a policy, in place of the `expected` one where
    /// that is given.
    pub async fn update_policy(
        &self,
        tenant: &TenantId,
        area: &Area,
        policy: Value,
        expected: Option<i32>,
    ) -> Result<Model> {
        let principal = caller::principal()?;
        principal.may_act_for(tenant)?;
        if !policy.is_object() {
            return Err(Error::invalid("policy", "must be an object"));
        }
        if policy.to_string().len() > MAX_BYTES {
            return Err(Error::invalid("policy", "must have at most 65536 bytes"));
        }
        if holds_nul(&policy) {
            return Err(Error::invalid("policy", "must not hold the character U+0000"));
        }
        let txn = self.begin().await?;
        // Who changes policies of a tenant takes turns.
        let found = for_tenant(tenant).tenant_for_update(&txn).await?;
        found.ok_or_else(|| Error::not_found("tenant", tenant))?;
        let before = for_tenant(tenant).policy(&txn, area.as_str(), None).await?;
        let version = before.as_ref().map_or(0, |before| before.version);
        if expected.is_some_and(|expected| expected != version) {
            return Err(Error::Conflict { kind: "policy", id: area.to_string() });
        }
        if let Some(same) = before.filter(|before| before.policy == policy) {
            return Ok(same);
        }
        let created_by = principal.display_name();
        let new = NewPolicy { area: area.as_str(), version: version + 1, policy, created_by };
        let recorded = for_tenant(tenant).insert_policy(&txn, new).await?;
        let details = json!({ "version": recorded.version, "policy": recorded.policy });
        let target = format!("tenants/{tenant}/policies/{area}");
        audit::record(&txn, "policy.update", tenant.as_str(), "", target, details).await?;
        self.commit(txn).await?;
        Ok(recorded)
    }
}

/// Whether a name or a text within has a NUL, which PostgreSQL cannot hold.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
