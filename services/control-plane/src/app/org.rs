//! Orgs.

use secrecy::ExposeSecret;
use serde_json::json;
use yuantus_auth::{caller, purpose, random_password};
use yuantus_domain::{
    DatabaseName, Error, IdempotencyKey, OperationType, OrgId, OrgKey, PageSize, Result, TenantId,
    TenantStatus, operation_input,
};
use yuantus_identity::{
    entity::operation::Model as Operation,
    for_org, for_tenant,
    query::{audit_log, org::OrgAndDatabase},
};
use yuantus_operations::{Enqueued, NewOperation, enqueue::find_by_key, enqueue_given};

use super::{App, Page, audit, display_name, org_name, page, user::Counted};

/// What CreateOrg was asked for.
#[derive(Debug)]
pub struct CreateOrg {
    /// The new org.
    pub key: OrgKey,
    /// The name people read; may be empty.
    pub name: String,
    /// The client's key.
    pub idempotency: Option<IdempotencyKey>,
}

impl App {
    /// Records an org, its database and the operation that makes it.
    pub async fn create_org(&self, asked: CreateOrg) -> Result<Operation> {
        let key = &asked.key;
        caller::principal()?.may_act_for(&key.tenant)?;
        let name = display_name(&asked.name, key.org.as_str())?;
        let request = json!({ "rpc": "CreateOrg", "org": key, "name": name });
        let new = self.operation(OperationType::CreateDatabase, key, request.clone())?;
        let idempotency = asked.idempotency.clone();
        let new = NewOperation { idempotency, lane_depth: None, ..new };
        if let Some(before) = self.asked_before(&new).await? {
            return Ok(before);
        }
        let (database, sealed) = self.new_database(key)?;
        let (tenant, org) = (key.tenant.as_str(), key.org.as_str());
        let entry = audit::of_org("org.create", tenant, org, org_name(key), request);
        let also = [for_org(key).inserted(name, &database, sealed), audit_log::appended(entry)];
        let active = for_tenant(&key.tenant).active();
        match enqueue_given(&self.db, new, active, also).await {
            Ok(Some(Enqueued::New(operation) | Enqueued::Before(operation))) => Ok(operation),
            Ok(None) => {
                self.active_tenant(&self.db, &key.tenant).await?;
                // It has been made active since.
                Err(Error::Conflict { kind: "tenant", id: key.tenant.to_string() })
            }
            Err(yuantus_operations::Error::Identity(error)) => Err(org_taken(error, key)),
            Err(error) => Err(error.into()),
        }
    }

    /// The operation that the same request recorded before: a replay takes no
    /// transaction and waits for nobody.
    pub(super) async fn asked_before(&self, new: &NewOperation) -> Result<Option<Operation>> {
        match &new.idempotency {
            None => Ok(None),
            Some(key) => Ok(find_by_key(&self.db, &new.scope, key, &new.request).await?),
        }
    }

    /// The name of an org's database, which is still to be made, and the sealed
    /// password of its role.
    pub(super) fn new_database(&self, key: &OrgKey) -> Result<(DatabaseName, Vec<u8>)> {
        let database = self.settings.database_names.database_name(key)?;
        let password = random_password()?;
        let aad = purpose::database_password(key, 1);
        let sealed = self.sealer.seal(password.expose_secret().as_bytes(), &aad)?;
        Ok((database, sealed))
    }

    pub(super) async fn active_tenant(
        &self,
        txn: &impl sea_orm::ConnectionTrait,
        id: &TenantId,
    ) -> Result<()> {
        let found = for_tenant(id).tenant(txn).await?;
        let tenant = found.ok_or_else(|| Error::not_found("tenant", id))?;
        if tenant.status != TenantStatus::Active.as_str() {
            let message = format!("tenant `{id}` is {}", tenant.status);
            return Err(Error::precondition("TENANT_NOT_ACTIVE", message));
        }
        Ok(())
    }

    /// An operation on an org's database, as the running request asks for it.
    pub(super) fn operation(
        &self,
        kind: OperationType,
        key: &OrgKey,
        request: serde_json::Value,
    ) -> Result<NewOperation> {
        let caller = caller::current();
        let input = serde_json::to_value(operation_input::Nothing {}).map_err(Error::internal)?;
        Ok(NewOperation {
            kind,
            key: key.clone(),
            input,
            target: org_name(key),
            idempotency: None,
            scope: format!("tenants/{}", key.tenant),
            request,
            actor: caller::principal()?.display_name(),
            request_id: caller.map(|c| c.request_id.clone()).unwrap_or_default(),
            max_attempts: self.settings.max_attempts,
            lane_depth: Some(self.settings.lane_depth),
        })
    }

    /// Reads one org.
    pub async fn get_org(&self, key: &OrgKey) -> Result<OrgAndDatabase> {
        caller::principal()?.may_act_for(&key.tenant)?;
        let scope = for_org(key);
        let (org, database) = tokio::try_join!(scope.org(&self.db), scope.database(&self.db))?;
        org.zip(database).ok_or_else(|| Error::not_found("org", key))
    }

    /// Changes an org; `None` leaves its name.
    pub async fn update_org(&self, key: &OrgKey, name: Option<&str>) -> Result<OrgAndDatabase> {
        caller::principal()?.may_act_for(&key.tenant)?;
        let name = name.map(|name| display_name(name, key.org.as_str())).transpose()?;
        let txn = self.begin().await?;
        let found = for_org(key).org_for_update(&txn).await?;
        let before = found.ok_or_else(|| Error::not_found("org", key))?;
        for_org(key).rename_org(&txn, name.unwrap_or(&before.name)).await?;
        let (tenant, org) = (key.tenant.as_str(), key.org.as_str());
        let details = json!({ "name": name });
        audit::record(&txn, "org.update", tenant, org, org_name(key), details).await?;
        self.commit(txn).await?;
        self.get_org(key).await
    }

    /// Reads a page of a tenant's orgs, in the order of their ids.
    pub async fn list_orgs(
        &self,
        tenant: &TenantId,
        size: PageSize,
        token: &str,
    ) -> Result<Counted<OrgAndDatabase>> {
        self.get_tenant(tenant).await?;
        let after: Option<OrgId> = page::cursor(token)?;
        let after = after.as_ref().map(OrgId::as_str);
        let rows = for_tenant(tenant).orgs(&self.db, after, page::limit(size)).await?;
        let total = for_tenant(tenant).count_orgs(&self.db).await?;
        Ok(Counted { page: Page::of(rows, size, |(org, _)| org.id.clone()), total })
    }
}

/// What a client hears where an org could not be recorded.
pub(super) fn org_taken(error: yuantus_identity::Error, key: &OrgKey) -> Error {
    match error.is_unique_violation() {
        true => Error::exists("org", key),
        false => error.into(),
    }
}
