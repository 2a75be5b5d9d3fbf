//! Deletes what earlier claims left beside the backup, and records that it is
//! complete.

use async_trait::async_trait;
use yuantus_domain::{backup_prefix, operation_input::OfBackup};
use yuantus_identity::for_org;
use yuantus_operations::{Outcome, Run, Step, StepResult};

use super::recorded;
use crate::{Deps, failure};

pub(super) struct PublishBackup;

#[async_trait]
impl Step<Deps> for PublishBackup {
    fn name(&self) -> &'static str {
        "publish_backup"
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let input: OfBackup = run.input()?;
        let (prefix, _) = recorded(run, run.key(), input.backup_id).await?;
        run.check()?;
        let all = backup_prefix::of_backup(run.key(), input.backup_id);
        let store = deps.store(run);
        for object in store.list(&all).await.map_err(failure::storage)? {
            if !object.key.starts_with(&prefix) {
                store.delete(&object.key).await.map_err(failure::storage)?;
            }
        }
        let txn = run.begin().await?;
        for_org(run.key()).complete_backup(&txn, input.backup_id).await?;
        Ok(Outcome::AdvanceIn(txn))
    }
}
