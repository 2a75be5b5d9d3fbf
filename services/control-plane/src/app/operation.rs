//! Operations: reading, waiting, cancelling, retrying.

use std::time::Duration;

use futures::Stream;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;
use yuantus_auth::{Principal, caller};
use yuantus_domain::{
    DatabaseState, Error, OperationState, OperationType, OrgKey, OrgStatus, PageSize, Result,
    TenantId, operation_input,
};
use yuantus_identity::{
    entity::operation::Model,
    for_org, for_tenant,
    query::operation::{self, Filter},
};
use yuantus_operations::{cancel::request_cancel, retry::request_retry};

use super::{App, Page, audit, page};

impl App {
    /// Reads one operation that the caller may know of.
    pub async fn get_operation(&self, id: Uuid) -> Result<Model> {
        self.operation_for(&caller::principal()?, id).await
    }

    async fn operation_for(&self, principal: &Principal, id: Uuid) -> Result<Model> {
        let found = if principal.is_platform() {
            operation::find(&self.db, id).await?
        } else {
            let tenant = TenantId::parse("tenant_id", &principal.tenant)?;
            for_tenant(&tenant).operation(&self.db, id).await?
        };
        found.ok_or_else(|| Error::not_found("operation", id))
    }

    /// Reads a page of operations, newest first. A tenant's own users see
    /// their tenant's.
    pub async fn list_operations(
        &self,
        mut filter: Filter,
        size: PageSize,
        token: &str,
    ) -> Result<Page<Model>> {
        let principal = caller::principal()?;
        match &filter.tenant {
            Some(tenant) => principal.may_act_for(tenant)?,
            None if !principal.is_platform() => {
                filter.tenant = Some(TenantId::parse("tenant_id", &principal.tenant)?);
            }
            None => {}
        }
        if filter.org.is_some() && filter.tenant.is_none() {
            return Err(Error::invalid("tenant_id", "is required with org_id"));
        }
        let before = page::cursor(token)?;
        let rows = operation::page(&self.db, &filter, before, page::limit(size)).await?;
        Ok(Page::of(rows, size, |operation| operation.seq.to_string()))
    }

    /// Answers once the operation has ended, at the timeout, or when this
    /// process stops.
    pub async fn wait_operation(&self, id: Uuid, timeout: Duration) -> Result<Model> {
        let until = Instant::now() + timeout;
        let mut follow = self.watcher.follow(id);
        loop {
            let operation = self.get_operation(id).await?;
            if is_final(&operation) || Instant::now() >= until || self.watcher.is_closing() {
                return Ok(operation);
            }
            follow.changed(Some(until)).await;
        }
    }

    /// Answers the operation now and at every change, until it has ended.
    pub async fn watch_operation(
        &self,
        id: Uuid,
    ) -> Result<impl Stream<Item = Result<Model>> + Send + use<>> {
        let principal = caller::principal()?;
        let follow = self.watcher.follow(id);
        let first = self.operation_for(&principal, id).await?;
        let state = Some((self.clone(), principal, follow, None, Some(first)));
        Ok(futures::stream::try_unfold(state, move |state| async move {
            let Some((app, principal, mut follow, seen, first)) = state else { return Ok(None) };
            let operation = match first {
                Some(operation) => operation,
                None => loop {
                    follow.changed(None).await;
                    if app.watcher.is_closing() {
                        return Ok(None);
                    }
                    let now = app.operation_for(&principal, id).await?;
                    if seen != Some(now.updated_at) {
                        break now;
                    }
                },
            };
            let next = match is_final(&operation) {
                true => None,
                false => Some((app, principal, follow, Some(operation.updated_at), None)),
            };
            Ok(Some((operation, next)))
        }))
    }

    /// Asks an operation to stop. One that has ended is answered as it is.
    pub async fn cancel_operation(&self, id: Uuid) -> Result<Model> {
        let operation = self.get_operation(id).await?;
        let txn = self.begin().await?;
        if request_cancel(&txn, id).await? {
            self.audit_operation(&txn, "operation.cancel", &operation).await?;
        }
        self.commit(txn).await?;
        self.notifier.cancel();
        self.notifier.changed(id);
        self.get_operation(id).await
    }

    /// Starts a failed or cancelled operation again.
    pub async fn retry_operation(&self, id: Uuid) -> Result<Model> {
        let operation = self.get_operation(id).await?;
        let key = OrgKey::parse(&operation.tenant_id, &operation.org_id)?;
        let txn = self.begin().await?;
        let org = for_org(&key).org_for_update(&txn).await?;
        if !request_retry(&txn, id).await? {
            let message = format!(
                "only a failed or cancelled operation can be retried; this one is {}",
                operation.state
            );
            return Err(Error::precondition("OPERATION_NOT_FAILED", message));
        }
        if sets_up_org(&operation)? && org.is_none_or(|o| o.status != OrgStatus::Failed.as_str()) {
            let message = format!("org `{key}` was set up otherwise since");
            return Err(Error::precondition("OPERATION_SUPERSEDED", message));
        }
        reopen(&txn, &operation).await?;
        self.audit_operation(&txn, "operation.retry", &operation).await?;
        self.commit(txn).await?;
        self.notifier.ready();
        self.notifier.changed(id);
        self.get_operation(id).await
    }

    async fn audit_operation(
        &self,
        txn: &impl sea_orm::ConnectionTrait,
        action: &'static str,
        operation: &Model,
    ) -> Result<()> {
        let target = format!("operations/{}", operation.id);
        let details = json!({ "type": operation.kind, "target": operation.target });
        let (tenant, org) = (&operation.tenant_id, &operation.org_id);
        audit::record(txn, action, tenant, org, target, details).await
    }
}

/// Whether the operation makes the org's first database.
pub(super) fn sets_up_org(operation: &Model) -> Result<bool> {
    match OperationType::parse(&operation.kind) {
        Some(OperationType::CreateDatabase) => Ok(true),
        Some(OperationType::RestoreDatabase) => Ok(restore_input(operation)?.creates_org),
        _ => Ok(false),
    }
}

fn restore_input(operation: &Model) -> Result<operation_input::Restore> {
    serde_json::from_value(operation.input.clone()).map_err(Error::internal)
}

/// Puts the rows that a failed operation left behind back to where they were
/// when it was first asked for.
async fn reopen(txn: &impl sea_orm::ConnectionTrait, operation: &Model) -> Result<()> {
    let key = OrgKey::parse(&operation.tenant_id, &operation.org_id)?;
    let input = operation.input.clone();
    match OperationType::parse(&operation.kind) {
        Some(OperationType::CreateDatabase) => reopen_org(txn, &key).await,
        Some(OperationType::CreateBackup) => {
            let input: operation_input::OfBackup =
                serde_json::from_value(input).map_err(Error::internal)?;
            Ok(for_org(&key).reopen_backup(txn, input.backup_id).await?)
        }
        Some(OperationType::RestoreDatabase) => {
            if sets_up_org(operation)? {
                reopen_org(txn, &key).await
            } else {
                Ok(())
            }
        }
        Some(OperationType::MigrateDatabase | OperationType::VerifyBackup) | None => Ok(()),
    }
}

async fn reopen_org(txn: &impl sea_orm::ConnectionTrait, key: &OrgKey) -> Result<()> {
    for_org(key).set_org_status(txn, OrgStatus::Provisioning, "").await?;
    Ok(for_org(key).set_database_state(txn, DatabaseState::Provisioning).await?)
}

fn is_final(operation: &Model) -> bool {
    OperationState::parse(&operation.state).is_some_and(OperationState::is_final)
}
