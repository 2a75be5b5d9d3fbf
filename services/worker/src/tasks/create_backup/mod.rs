//! `CreateBackup`: a full backup of an org's database, which opens a
//! generation of its own.

mod dump_database;
mod open_repository;
mod publish_backup;
mod repository;
mod verify_backup;

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use yuantus_domain::{OperationType, backup_prefix, operation_input::OfBackup};
use yuantus_identity::for_org;
use yuantus_operations::{CleanUp, Run, Step, StepError, Task};

use crate::{Deps, failure};

pub(super) use repository::{check, recorded, repository};

pub(super) struct CreateBackup;

#[async_trait]
impl Task<Deps> for CreateBackup {
    fn kind(&self) -> OperationType {
        OperationType::CreateBackup
    }

    fn steps(&self) -> &'static [&'static dyn Step<Deps>] {
        &[
            &open_repository::OpenRepository,
            &dump_database::DumpDatabase,
            &verify_backup::VerifyBackup,
            &publish_backup::PublishBackup,
        ]
    }

    /// Deletes what was written.
    async fn clean_up(&self, deps: &Deps, run: &Run) -> Result<CleanUp, StepError> {
        let input: OfBackup = run.input()?;
        run.confirm().await?;
        let prefix = backup_prefix::of_backup(run.key(), input.backup_id);
        deps.store(run).delete_prefix(&prefix).await.map_err(failure::storage)?;
        Ok(CleanUp::Undone)
    }

    async fn record_undone(
        &self,
        run: &Run,
        txn: &DatabaseTransaction,
        why: &str,
    ) -> Result<(), StepError> {
        let input: OfBackup = run.input()?;
        for_org(run.key()).fail_backup(txn, input.backup_id, why).await?;
        Ok(())
    }
}
