//! Backups.

use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;
use yuantus_auth::{caller, purpose};
use yuantus_backup::{Manifest, RepositoryKey};
use yuantus_domain::{
    BackupState, Error, IdempotencyKey, OperationType, OrgKey, PageSize, Result, backup_prefix,
    operation_input,
};
use yuantus_identity::{
    entity::{backup::Model, operation::Model as Operation},
    for_org,
};
use yuantus_operations::{Enqueued, NewOperation, enqueue};

use super::{App, Page, audit, org_name, page};

/// What `restic` needs, besides S3 credentials.
#[derive(Debug)]
pub struct BackupKey {
    /// The repository, as `restic` names it.
    pub repository: String,
    /// Its password.
    pub password: SecretString,
    /// The snapshot.
    pub snapshot_id: String,
    /// The dump within the snapshot.
    pub dump_path: String,
}

/// How the API names a backup.
pub(super) fn backup_name(key: &OrgKey, id: Uuid) -> String {
    format!("{}/backups/{id}", org_name(key))
}

impl App {
    /// Records a backup and the operation that makes it.
    pub async fn create_backup(
        &self,
        key: &OrgKey,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Operation> {
        caller::principal()?.may_act_for(&key.tenant)?;
        let id = Uuid::now_v7();
        let request = json!({ "rpc": "CreateBackup", "org": key });
        let new = NewOperation {
            input: input(operation_input::OfBackup { backup_id: id })?,
            target: backup_name(key, id),
            idempotency,
            ..self.operation(OperationType::CreateBackup, key, request.clone())?
        };
        if let Some(before) = self.asked_before(&new).await? {
            return Ok(before);
        }
        let target = new.target.clone();
        let txn = self.begin().await?;
        let org = for_org(key).org_for_update(&txn).await?;
        org.ok_or_else(|| Error::not_found("org", key))?;
        let operation = match enqueue(&txn, new).await? {
            Enqueued::Before(operation) => return Ok(operation),
            Enqueued::New(operation) => operation,
        };
        self.ready_database(&txn, key).await?;
        let prefix = backup_prefix::of_backup(key, id);
        for_org(key).insert_backup(&txn, id, &prefix).await?;
        let (tenant, org) = (key.tenant.as_str(), key.org.as_str());
        audit::record(&txn, "backup.create", tenant, org, target, request).await?;
        self.commit(txn).await?;
        Ok(operation)
    }

    /// Records the operation that verifies a backup.
    pub async fn verify_backup(
        &self,
        key: &OrgKey,
        id: Uuid,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Operation> {
        self.complete_backup(key, id).await?;
        let request = json!({ "rpc": "VerifyBackup", "org": key, "backup": id });
        let new = NewOperation {
            input: input(operation_input::OfBackup { backup_id: id })?,
            target: backup_name(key, id),
            idempotency,
            ..self.operation(OperationType::VerifyBackup, key, request)?
        };
        self.start(new, "backup.verify").await
    }

    /// Reads one backup.
    pub async fn get_backup(&self, key: &OrgKey, id: Uuid) -> Result<Model> {
        caller::principal()?.may_act_for(&key.tenant)?;
        let found = for_org(key).backup(&self.db, id).await?;
        found.ok_or_else(|| Error::not_found("backup", id))
    }

    /// Reads one backup and refuses unless it is complete.
    pub(super) async fn complete_backup(&self, key: &OrgKey, id: Uuid) -> Result<Manifest> {
        let backup = self.get_backup(key, id).await?;
        match backup.manifest {
            Some(manifest) if backup.state == BackupState::Complete.as_str() => {
                serde_json::from_value(manifest).map_err(Error::internal)
            }
            _ => Err(Error::precondition(
                "BACKUP_NOT_COMPLETE",
                format!("backup `{id}` is {}", backup.state),
            )),
        }
    }

    /// Reads a page of an org's backups, newest first.
    pub async fn list_backups(
        &self,
        key: &OrgKey,
        size: PageSize,
        token: &str,
    ) -> Result<Page<Model>> {
        self.get_org(key).await?;
        let before: Option<Uuid> = page::cursor(token)?;
        let rows = for_org(key).backups(&self.db, before, page::limit(size)).await?;
        Ok(Page::of(rows, size, |backup| backup.id.to_string()))
    }

    /// Reveals what `restic` needs, and records that it did.
    pub async fn get_backup_key(&self, key: &OrgKey, id: Uuid) -> Result<BackupKey> {
        let manifest = self.complete_backup(key, id).await?;
        let backup = self.get_backup(key, id).await?;
        let sealed = for_org(key).backup_key(&self.db).await?;
        let sealed = sealed.ok_or_else(|| Error::not_found("backup key", key))?;
        let aad = purpose::backup_key(key, sealed.version.unsigned_abs());
        let secret = self.sealer.open(&sealed.sealed_key, &aad)?;
        let repository_key = RepositoryKey::from_secret(&secret).map_err(Error::internal)?;
        let (tenant, org) = (key.tenant.as_str(), key.org.as_str());
        let target = backup_name(key, id);
        audit::record(&self.db, "backup_key.reveal", tenant, org, target, json!({})).await?;
        let endpoint = self.settings.backup_endpoint.trim_end_matches('/');
        let prefix = backup.prefix.trim_end_matches('/');
        Ok(BackupKey {
            repository: format!("s3:{endpoint}/{}/{prefix}", self.store.bucket()),
            password: repository_key.password().clone(),
            snapshot_id: manifest.snapshot_id,
            dump_path: manifest.dump_path,
        })
    }
}

pub(super) fn input(input: impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(input).map_err(Error::internal)
}
