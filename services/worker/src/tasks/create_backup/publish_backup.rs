//! Deletes what earlier claims left beside the backup, and records that it is
//! complete.

use async_trait::async_trait;
use yuantus_domain::operation_input::OfBackup;
use yuantus_identity::for_org;
use yuantus_operations::{Outcome, Run, Step, StepResult};

use super::{delete_prefixes, recorded};
use crate::Deps;

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
        delete_prefixes(deps, run, input.backup_id, &prefix).await?;
        let txn = run.begin().await?;
        for_org(run.key()).complete_backup(&txn, input.backup_id).await?;
        Ok(Outcome::AdvanceIn(txn))
    }
}
