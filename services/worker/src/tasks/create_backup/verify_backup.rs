//! Opens the repository anew and sees that everything the snapshot names is
//! there, with the size and the manifest that were written. `VerifyBackup`
//! reads every byte.

use async_trait::async_trait;
use yuantus_domain::operation_input::OfBackup;
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult};

use super::{check, recorded, repository};
use crate::Deps;

pub(super) struct VerifyBackup;

#[async_trait]
impl Step<Deps> for VerifyBackup {
    fn name(&self) -> &'static str {
        "verify_backup"
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let input: OfBackup = run.input()?;
        let (prefix, manifest) = recorded(run, run.key(), input.backup_id).await?;
        let manifest = manifest
            .ok_or_else(|| StepError::refuse("BACKUP_DAMAGED", "the manifest was not kept"))?;
        let repository = repository(deps, run, run.key(), &prefix).await?;
        check(&repository, &manifest).await?;
        Ok(Outcome::Advance)
    }
}
