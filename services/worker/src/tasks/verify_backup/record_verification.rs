//! Records that the backup was read whole and found good.

use async_trait::async_trait;
use yuantus_domain::operation_input::OfBackup;
use yuantus_identity::for_org;
use yuantus_operations::{Outcome, Run, Step, StepResult};

use crate::Deps;

pub(super) struct RecordVerification;

#[async_trait]
impl Step<Deps> for RecordVerification {
    fn name(&self) -> &'static str {
        "record_verification"
    }

    async fn run(&self, _deps: &Deps, run: &Run) -> StepResult {
        let input: OfBackup = run.input()?;
        let txn = run.begin().await?;
        for_org(run.key()).set_backup_verified(&txn, input.backup_id).await?;
        Ok(Outcome::AdvanceIn(txn))
    }
}
