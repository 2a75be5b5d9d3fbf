//! Sees that the backup is whole, before anything is made.

use async_trait::async_trait;
use yuantus_operations::{Outcome, Run, Step, StepResult};

use super::{backup, repository};
use crate::{Deps, tasks::create_backup::check};

pub(super) struct PrepareDatabase;

#[async_trait]
impl Step<Deps> for PrepareDatabase {
    fn name(&self) -> &'static str {
        "prepare_database"
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let (input, prefix, manifest) = backup(run).await?;
        let repository = repository(deps, run, &input.source, &prefix).await?;
        check(&repository, &manifest).await?;
        Ok(Outcome::Advance)
    }
}
