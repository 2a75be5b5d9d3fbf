//! `RestoreDatabase`: restores a backup into a new database, verifies it and
//! swaps it in. The database it replaces is kept as a tombstone.

mod check_space;
mod load_dump;
mod prepare_database;
mod record_swap;
mod swap_database;
mod verify_rows;

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use yuantus_backup::Manifest;
use yuantus_domain::{OperationType, operation_input::Restore};
use yuantus_identity::{for_org, query::orphan::Leftover};
use yuantus_operations::{CleanUp, Run, Step, StepError, Task};
use yuantus_postgres::Kind;

use super::create_backup::{contents, recorded, repository};
use crate::{
    Deps,
    failure::{self, DAMAGED},
    names,
};

pub(super) struct RestoreDatabase;

#[async_trait]
impl Task<Deps> for RestoreDatabase {
    fn kind(&self) -> OperationType {
        OperationType::RestoreDatabase
    }

    fn steps(&self) -> &'static [&'static dyn Step<Deps>] {
        &[
            &prepare_database::PrepareDatabase,
            &load_dump::LoadDump,
            &verify_rows::VerifyRows,
            &swap_database::SwapDatabase,
            &record_swap::RecordSwap,
        ]
    }

    /// Before the swap: drops what was loaded. After it there is no way back
    /// that loses nothing, so the restore counts as done.
    async fn clean_up(&self, deps: &Deps, run: &Run) -> Result<CleanUp, StepError> {
        let mut lane = deps.lane(run).await?;
        if is_swapped(deps, run).await? {
            lane.close().await;
            return Ok(CleanUp::Completed(record_swap::record(deps, run).await?));
        }
        let incoming = names::restore(run.id())?;
        let plane = deps.plane.to_string();
        lane.drop_database(&incoming, &plane, Kind::Restore).await.map_err(failure::postgres)?;
        let input: Restore = run.input()?;
        if input.creates_org {
            let role = deps.database(run).await?.role;
            lane.drop_role_to_come(&role).await.map_err(failure::postgres)?;
        }
        lane.close().await;
        Ok(CleanUp::Undone)
    }

    async fn leftovers(&self, deps: &Deps, run: &Run) -> Vec<Leftover> {
        let incoming = names::restore(run.id()).ok();
        deps.still_there(incoming, |_| true).await.into_iter().collect()
    }

    /// The swap may have been done where its answer was lost.
    fn unknown(&self, run: &Run) -> Option<&'static str> {
        let before = ["prepare_database", "load_dump", "verify_rows"].len();
        (run.steps_done() >= before).then_some(
            "the org's database may have been replaced already: retrying the operation finds out, \
             and finishes it then",
        )
    }

    async fn record_undone(
        &self,
        run: &Run,
        txn: &DatabaseTransaction,
        why: &str,
    ) -> Result<(), StepError> {
        let input: Restore = run.input()?;
        if run.error_reason() == DAMAGED {
            for_org(&input.source).doubt_backup(txn, input.backup_id, why).await?;
        }
        if input.creates_org {
            for_org(run.key()).fail_provisioning(txn, why).await?;
        }
        Ok(())
    }
}

/// Whether the restored database has the org's name already. Means something
/// only while the lane is held.
async fn is_swapped(deps: &Deps, run: &Run) -> Result<bool, StepError> {
    let row = deps.database(run).await?;
    let name = crate::deps::name(&row.name)?;
    let there = deps.server.database(&name).await.map_err(failure::postgres)?;
    let marker = there.and_then(|info| info.marker);
    Ok(marker.is_some_and(|marker| marker.operation == Some(run.id().to_string())))
}

/// Where the backup is and what is in it.
async fn backup(run: &Run) -> Result<(Restore, String, Manifest), StepError> {
    let input: Restore = run.input()?;
    let (prefix, manifest) = recorded(run, &input.source, input.backup_id).await?;
    let manifest = manifest
        .ok_or_else(|| StepError::refuse("BACKUP_NOT_COMPLETE", "the backup has no manifest"))?;
    Ok((input, prefix, manifest))
}
