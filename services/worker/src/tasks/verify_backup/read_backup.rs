//! Reads the whole dump and compares size and SHA-256.

use async_trait::async_trait;
use yuantus_domain::operation_input::OfBackup;
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult};

use crate::{
    Deps, failure,
    tasks::create_backup::{recorded, repository},
};

pub(super) struct ReadBackup;

#[async_trait]
impl Step<Deps> for ReadBackup {
    fn name(&self) -> &'static str {
        "read_backup"
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let input: OfBackup = run.input()?;
        let (prefix, manifest) = recorded(run, run.key(), input.backup_id).await?;
        let manifest = manifest.ok_or_else(|| {
            StepError::refuse("BACKUP_NOT_COMPLETE", "the backup has no manifest")
        })?;
        let repository = repository(deps, run, run.key(), &prefix).await?;
        yuantus_backup::verify(&repository, &manifest).await.map_err(failure::reading)?;
        Ok(Outcome::Advance)
    }
}
