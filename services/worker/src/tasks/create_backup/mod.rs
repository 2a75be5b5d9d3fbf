//! `CreateBackup`: a full backup of an org's database, which opens a
//! generation of its own. It is complete once it was shown that it can be
//! loaded.

mod dump_database;
mod open_repository;
mod publish_backup;
mod repository;
mod trial_restore;
mod verify_backup;

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use uuid::Uuid;
use yuantus_domain::{OperationType, operation_input::OfBackup};
use yuantus_identity::{for_org, query::orphan::Leftover};
use yuantus_operations::{CleanUp, Run, Step, StepError, Task};

use crate::{Deps, failure, names};

pub(super) use repository::{check, contents, recorded, repository};

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
            &trial_restore::TrialRestore,
            &publish_backup::PublishBackup,
        ]
    }

    /// Drops what was loaded to see whether it can be, and deletes what claims of
    /// this operation wrote.
    async fn clean_up(&self, deps: &Deps, run: &Run) -> Result<CleanUp, StepError> {
        let input: OfBackup = run.input()?;
        let mut lane = deps.lane(run).await?;
        trial_restore::drop_trial(deps, run, &mut lane).await?;
        lane.close().await;
        run.confirm().await?;
        delete_prefixes(deps, run, input.backup_id, "").await?;
        Ok(CleanUp::Undone)
    }

    async fn leftovers(&self, deps: &Deps, run: &Run) -> Vec<Leftover> {
        let Ok(OfBackup { backup_id }) = run.input() else { return Vec::new() };
        let prefixes = for_org(run.key()).backup_prefixes(run.db(), backup_id).await;
        let prefixes = prefixes.unwrap_or_default().into_iter().map(Leftover::backup_prefix);
        let rehearsal = deps.still_there(names::restore(run.id()).ok(), |_| true).await;
        prefixes.chain(rehearsal).collect()
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

/// Deletes what claims of a backup's operation wrote, but for what is at `kept`.
/// Places that are not recorded were written by somebody else, who may have
/// finished a backup there: they stay, and `yuantus doctor` lists them.
async fn delete_prefixes(
    deps: &Deps,
    run: &Run,
    backup: Uuid,
    kept: &str,
) -> Result<(), StepError> {
    let store = deps.store(run);
    for prefix in for_org(run.key()).backup_prefixes(run.db(), backup).await? {
        if prefix != kept {
            store.delete_prefix(&prefix).await.map_err(failure::storage)?;
        }
    }
    Ok(())
}
