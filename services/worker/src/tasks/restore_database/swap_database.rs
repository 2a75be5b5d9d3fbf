//! Gives the restored database the org's name. The one that had it becomes a
//! tombstone, which is recorded before it is made.

use async_trait::async_trait;
use yuantus_identity::for_org;
use yuantus_operations::{Outcome, Run, Step, StepResult, crashpoint};

use super::{backup, contents, is_swapped, prepare_database::expect_own_place};
use crate::{Deps, failure, names};

pub(super) struct SwapDatabase;

#[async_trait]
impl Step<Deps> for SwapDatabase {
    fn name(&self) -> &'static str {
        "swap_database"
    }

    fn crash_points(&self) -> &'static [&'static str] {
        &["after_tombstone", "after_swap"]
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let (input, _, manifest) = backup(run).await?;
        let (row, plan) = deps.wanted(run).await?;
        let fingerprint = &manifest.facts.bundle_fingerprint;
        let mut assignment = deps.assignment(run, &row, plan, fingerprint)?;
        assignment.marker.in_use = true;
        let tombstone = names::tombstone(run.id())?;
        let mut lane = deps.lane(run).await?;
        if is_swapped(deps, run).await? {
            lane.close().await;
            return Ok(Outcome::Advance);
        }
        let there = deps.server.database(&assignment.database).await.map_err(failure::postgres)?;
        expect_own_place(deps, run, input.creates_org).await?;
        if there.is_some() {
            let txn = run.begin().await?;
            let retention = deps.limits.tombstone_retention;
            for_org(run.key()).put_tombstone(&txn, &tombstone, run.id(), retention).await?;
            run.commit(txn).await?;
        }
        crashpoint!("RestoreDatabase.swap_database.after_tombstone");
        let incoming = names::restore(run.id())?;
        let contents = contents(&manifest, &assignment.role)?;
        let settings = contents.as_ref().map(|contents| &contents.settings);
        let (database, role) = (&assignment.database, &assignment.role);
        let refused = lane.carry_settings(&incoming, database, role, settings).await;
        run.warn(&refused.map_err(failure::postgres)?).await?;
        lane.swap(&incoming, &assignment, &tombstone).await.map_err(failure::postgres)?;
        crashpoint!("RestoreDatabase.swap_database.after_swap");
        lane.close().await;
        Ok(Outcome::Advance)
    }
}
