//! Applies what is pending, and records the revision with it: a worker of
//! another version, with another bundle, may be the one that goes on.

use async_trait::async_trait;
use yuantus_identity::for_org;
use yuantus_operations::{Outcome, Run, Step, StepResult};

use crate::Deps;

pub(super) struct ApplyMigrations;

#[async_trait]
impl Step<Deps> for ApplyMigrations {
    fn name(&self) -> &'static str {
        "apply_migrations"
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let row = deps.database(run).await?;
        let revision = super::migrate(deps, run, &crate::deps::name(&row.name)?).await?;
        let txn = run.begin().await?;
        let fingerprint = deps.bundle.fingerprint();
        for_org(run.key()).set_database_revision(&txn, revision, fingerprint).await?;
        Ok(Outcome::AdvanceIn(txn))
    }
}
