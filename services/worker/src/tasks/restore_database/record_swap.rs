//! Records that the org's database is now the restored one, and from when on
//! the one it replaced is kept.

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use yuantus_domain::{DatabaseState, OrgStatus};
use yuantus_identity::for_org;
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult};

use super::backup;
use crate::{Deps, failure, names};

pub(super) struct RecordSwap;

#[async_trait]
impl Step<Deps> for RecordSwap {
    fn name(&self) -> &'static str {
        "record_swap"
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        Ok(Outcome::AdvanceIn(record(deps, run).await?))
    }
}

pub(super) async fn record(deps: &Deps, run: &Run) -> Result<DatabaseTransaction, StepError> {
    let (_, _, manifest) = backup(run).await?;
    let tombstone = names::tombstone(run.id())?;
    let buried = deps.server.database(&tombstone).await.map_err(failure::postgres)?.is_some();
    let txn = run.begin().await?;
    let org = for_org(run.key());
    if buried {
        let retention = deps.limits.tombstone_retention;
        org.put_tombstone(&txn, &tombstone, run.id(), retention).await?;
    }
    let facts = manifest.facts;
    org.set_database_revision(&txn, facts.revision, &facts.bundle_fingerprint).await?;
    org.set_database_state(&txn, DatabaseState::Ready).await?;
    org.set_org_status(&txn, OrgStatus::Active, "").await?;
    Ok(txn)
}
