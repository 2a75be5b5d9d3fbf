//! What decides whether a request may pass, as the identity database has it
//! now. The gateway asks, and remembers.

use serde_json::json;
use uuid::Uuid;
use yuantus_auth::{
    Role, caller,
    permission::Access,
    tenancy::{KeyFacts, NotReady, OrgFacts, SessionFacts, TenantFacts, UserFacts},
};
use yuantus_domain::{
    DatabaseState, Error, OrgId, OrgKey, OrgStatus, Plan, Result, TenantId, TenantStatus,
};
use yuantus_identity::{
    entity::{database, org, tenant},
    for_org, for_tenant,
    query::{api_key, audit_log, session, user},
};

use super::{App, audit};

impl App {
    /// The tenant of this id.
    pub async fn tenant_facts(&self, id: &TenantId) -> Result<Option<TenantFacts>> {
        let found = for_tenant(id).tenant(&self.db).await?;
        found.map(tenant_facts).transpose()
    }

    /// The org of this key, with its database.
    pub async fn org_facts(&self, key: &OrgKey) -> Result<Option<OrgFacts>> {
        let Some(org) = for_org(key).org(&self.db).await? else { return Ok(None) };
        let database = for_org(key).database(&self.db).await?;
        let target = self.bundle.target();
        Ok(Some(OrgFacts {
            key: key.clone(),
            not_ready: not_ready(&org, database.as_ref(), target)?,
            revision: database.as_ref().map_or(0, |database| database.revision),
            database: database.map(|database| database.name).unwrap_or_default(),
        }))
    }

    /// The user of this id; `None` for one who is gone or not active.
    pub async fn user_facts(&self, id: i32) -> Result<Option<UserFacts>> {
        let found = user::by_id(&self.db, id).await?.filter(|user| user.is_active);
        let Some(user) = found else { return Ok(None) };
        let names: Vec<String> = serde_json::from_value(user.roles).map_err(Error::internal)?;
        let roles = names.iter().filter_map(|name| Role::parse(name)).collect();
        Ok(Some(UserFacts { tenant: user.tenant_id, roles }))
    }

    /// The session of this id; `None` for one that has ended.
    pub async fn session_facts(&self, id: Uuid) -> Result<Option<SessionFacts>> {
        let found = session::live(&self.db, id).await?;
        Ok(found.map(|session| SessionFacts { user_id: session.user_id }))
    }

    /// The key of this hash, which is being used; `None` for one that is
    /// unknown, or over.
    pub async fn key_facts(&self, hash: &[u8; 32]) -> Result<Option<KeyFacts>> {
        let Some(key) = api_key::use_by_hash(&self.db, hash).await? else { return Ok(None) };
        let org = key.org_id.as_deref().map(|org| OrgId::parse("org_id", org)).transpose();
        Ok(Some(KeyFacts {
            id: key.id,
            org: org.map_err(|_| unknown("api_keys.org_id", ""))?,
            role: Role::parse(&key.role).ok_or_else(|| unknown("api_keys.role", &key.role))?,
            tenant: key.tenant_id,
            name: key.name,
            owner: key.owner_id,
            expires_at: key.expires_at.map(|end| end.timestamp().max(0).unsigned_abs()),
        }))
    }

    /// The one org of a tenant; `None` where there are others, or none.
    pub async fn only_org(&self, tenant: &TenantId) -> Result<Option<OrgId>> {
        match &for_tenant(tenant).orgs(&self.db, None, 2).await?[..] {
            [(org, _)] => OrgId::parse("org_id", &org.id).map(Some),
            _ => Ok(None),
        }
    }

    /// What a user is in an org, in the tenant's own words; `None` for one who
    /// is no active member of it.
    pub async fn membership(&self, key: &OrgKey, user: i32) -> Result<Option<Vec<String>>> {
        let member = for_org(key).member(&self.db, user).await?.filter(|member| member.is_active);
        member
            .map(|member| serde_json::from_value(member.roles))
            .transpose()
            .map_err(Error::internal)
    }

    /// Records that the caller of the running request, a platform
    /// administrator, acts within a tenant; where it only reads, without waiting
    /// for it.
    pub async fn record_impersonation(&self, access: Access) -> Result<()> {
        let Some(caller) = caller::current() else { return Ok(()) };
        let tenant = caller.tenant.as_ref().map_or("", TenantId::as_str);
        let org = caller.org.as_ref().map_or("", yuantus_domain::OrgId::as_str);
        let target = format!("tenants/{tenant}");
        let details = json!({ "rpc": caller.rpc });
        let entry = audit::of_org("tenant.impersonate", tenant, org, target, details);
        if access.reads {
            self.audit.trail.coalesced(entry, caller.rpc.clone());
            return Ok(());
        }
        Ok(audit_log::append(&self.db, entry).await?)
    }
}

/// What a tenant's row says.
pub(super) fn tenant_facts(row: tenant::Model) -> Result<TenantFacts> {
    Ok(TenantFacts {
        id: TenantId::parse("id", &row.id).map_err(|_| unknown("tenants.id", &row.id))?,
        status: TenantStatus::parse(&row.status)
            .ok_or_else(|| unknown("tenants.status", &row.status))?,
        plan: Plan::parse(&row.plan).map_err(|_| unknown("tenants.plan", &row.plan))?,
        name: row.name,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn not_ready(
    org: &org::Model,
    database: Option<&database::Model>,
    target: i64,
) -> Result<Option<NotReady>> {
    let status =
        OrgStatus::parse(&org.status).ok_or_else(|| unknown("orgs.status", &org.status))?;
    let Some(database) = database else { return Ok(Some(NotReady::MissingSchema)) };
    let state = DatabaseState::parse(&database.state)
        .ok_or_else(|| unknown("databases.state", &database.state))?;
    Ok(match (status, state) {
        (OrgStatus::Failed, _) | (_, DatabaseState::Failed) => Some(NotReady::ProvisioningFailed),
        (OrgStatus::Provisioning, _) | (_, DatabaseState::Provisioning) => {
            Some(NotReady::Provisioning)
        }
        (OrgStatus::Active, DatabaseState::Ready) if database.revision >= target => None,
        (OrgStatus::Active, DatabaseState::Ready) if database.revision == 0 => {
            Some(NotReady::MissingSchema)
        }
        (OrgStatus::Active, DatabaseState::Ready) => Some(NotReady::MigrationMismatch),
    })
}

fn unknown(column: &'static str, value: &str) -> Error {
    Error::internal(yuantus_identity::Error::Unknown { column, value: value.to_owned() })
}
