//! Sees that the backup is whole, that there is room, and that nobody's database
//! is in its place, before anything is made.

use async_trait::async_trait;
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult};
use yuantus_postgres::Kind;

use super::{backup, check_space, is_swapped, repository};
use crate::{Deps, failure, tasks::create_backup::check};

pub(super) struct PrepareDatabase;

#[async_trait]
impl Step<Deps> for PrepareDatabase {
    fn name(&self) -> &'static str {
        "prepare_database"
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let (input, prefix, manifest) = backup(run).await?;
        check_space::check(deps, run, &manifest).await?;
        let repository = repository(deps, run, &input.source, &prefix).await?;
        check(&repository, &manifest).await?;
        if !is_swapped(deps, run).await? {
            expect_own_place(deps, run, input.creates_org).await?;
        }
        Ok(Outcome::Advance)
    }
}

/// Refuses a restore into a database that is not the org's, or that is there
/// though the org was recorded for this restore: nobody asked to replace it.
pub(super) async fn expect_own_place(
    deps: &Deps,
    run: &Run,
    creates_org: bool,
) -> Result<(), StepError> {
    let row = deps.database(run).await?;
    let name = crate::deps::name(&row.name)?;
    let Some(found) = deps.server.database(&name).await.map_err(failure::postgres)? else {
        return Ok(());
    };
    let (plane, owner) = (deps.plane.to_string(), run.key().to_string());
    let ours = found.marker.is_some_and(|marker| {
        marker.plane == plane && marker.kind == Kind::Tenant && marker.owner == Some(owner)
    });
    if ours && !creates_org {
        return Ok(());
    }
    Err(StepError::refuse("DATABASE_EXISTS", format!("database `{name}` exists already")))
}
