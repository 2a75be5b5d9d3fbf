//! Restoring a backup: in place, into another org, or as a new tenant.

use sea_orm::ConnectionTrait;
use serde_json::json;
use uuid::Uuid;
use yuantus_auth::caller;
use yuantus_domain::{
    Error, IdempotencyKey, OperationType, OrgKey, OrgStatus, Plan, Result, operation_input,
};
use yuantus_identity::{
    entity::operation::Model as Operation,
    for_org, for_tenant,
    query::tenant::{self, NewTenant},
};
use yuantus_operations::{Enqueued, NewOperation, enqueue};

use super::{App, audit, backup::input, org::org_taken, org_name};

/// What RestoreBackup was asked for.
#[derive(Debug)]
pub struct RestoreBackup {
    /// The org the backup belongs to.
    pub source: OrgKey,
    /// The backup.
    pub backup: Uuid,
    /// The org to restore into.
    pub target: OrgKey,
    /// Whether the database of another org may be replaced.
    pub replace: bool,
    /// The client's key.
    pub idempotency: Option<IdempotencyKey>,
}

impl App {
    /// Records the operation that restores a backup, and the target org (and
    /// tenant) where there is none yet.
    pub async fn restore_backup(&self, asked: RestoreBackup) -> Result<Operation> {
        let target = &asked.target;
        caller::principal()?.may_act_for(&asked.source.tenant)?;
        caller::principal()?.may_act_for(&target.tenant)?;
        self.complete_backup(&asked.source, asked.backup).await?;
        let request = json!({ "rpc": "RestoreBackup", "source": asked.source,
            "backup": asked.backup, "target": target, "replace": asked.replace });
        let txn = self.begin().await?;
        let creates_org = for_org(target).org_for_update(&txn).await?.is_none();
        let new = NewOperation {
            input: input(operation_input::Restore {
                source: asked.source.clone(),
                backup_id: asked.backup,
                creates_org,
            })?,
            idempotency: asked.idempotency.clone(),
            ..self.operation(OperationType::RestoreDatabase, target, request.clone())?
        };
        let operation = match enqueue(&txn, new).await? {
            Enqueued::Before(operation) => return Ok(operation),
            Enqueued::New(operation) => operation,
        };
        if creates_org {
            self.create_target(&txn, target).await?;
        } else {
            self.check_target(&txn, &asked).await?;
        }
        let (tenant, org) = (target.tenant.as_str(), target.org.as_str());
        audit::record(&txn, "backup.restore", tenant, org, org_name(target), request).await?;
        self.commit(txn).await?;
        Ok(operation)
    }

    async fn create_target(&self, txn: &impl ConnectionTrait, target: &OrgKey) -> Result<()> {
        if for_tenant(&target.tenant).tenant(txn).await?.is_none() {
            if !caller::principal()?.is_platform() {
                return Err(Error::denied("only platform administrators may create tenants"));
            }
            let id = &target.tenant;
            let new = NewTenant { id, name: id.as_str(), plan: Plan::Basic, idempotency: None };
            tenant::insert(txn, new).await.map_err(|error| match error.is_unique_violation() {
                true => Error::Conflict { kind: "tenant", id: id.to_string() },
                false => error.into(),
            })?;
            let name = format!("tenants/{id}");
            audit::record(txn, "tenant.create", id.as_str(), "", name, json!({})).await?;
        }
        self.active_tenant(txn, &target.tenant).await?;
        let (database, sealed) = self.new_database(target)?;
        for_org(target)
            .insert(txn, target.org.as_str(), &database, sealed)
            .await
            .map_err(|error| org_taken(error, target))
    }

    async fn check_target(&self, txn: &impl ConnectionTrait, asked: &RestoreBackup) -> Result<()> {
        let target = &asked.target;
        if asked.source != *target && !asked.replace {
            return Err(Error::precondition(
                "TARGET_EXISTS",
                format!("org `{target}` exists: set `replace` to replace its database"),
            ));
        }
        self.active_tenant(txn, &target.tenant).await?;
        match for_org(target).org(txn).await? {
            Some(org) if org.status == OrgStatus::Provisioning.as_str() => {
                Err(Error::precondition(
                    "ORG_PROVISIONING",
                    format!("org `{target}` is still being set up"),
                ))
            }
            _ => Ok(()),
        }
    }
}
