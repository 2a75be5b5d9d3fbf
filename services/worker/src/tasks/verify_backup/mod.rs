//! `VerifyBackup`: reads a backup whole and compares it with its manifest.

mod read_backup;
mod record_verification;

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use yuantus_domain::{OperationType, operation_input::OfBackup};
use yuantus_identity::{for_org, query::orphan::Leftover};
use yuantus_operations::{CleanUp, Run, Step, StepError, Task};

use crate::{Deps, failure::DAMAGED};

pub(super) struct VerifyBackup;

#[async_trait]
impl Task<Deps> for VerifyBackup {
    fn kind(&self) -> OperationType {
        OperationType::VerifyBackup
    }

    fn steps(&self) -> &'static [&'static dyn Step<Deps>] {
        &[&read_backup::ReadBackup, &record_verification::RecordVerification]
    }

    /// Nothing was made.
    async fn clean_up(&self, _deps: &Deps, _run: &Run) -> Result<CleanUp, StepError> {
        Ok(CleanUp::Undone)
    }

    async fn leftovers(&self, _deps: &Deps, _run: &Run) -> Vec<Leftover> {
        Vec::new()
    }

    /// A backup that was found damaged no longer counts as verified.
    async fn record_undone(
        &self,
        run: &Run,
        txn: &DatabaseTransaction,
        why: &str,
    ) -> Result<(), StepError> {
        let input: OfBackup = run.input()?;
        if run.error_reason() == DAMAGED {
            for_org(run.key()).doubt_backup(txn, input.backup_id, why).await?;
        }
        Ok(())
    }
}
