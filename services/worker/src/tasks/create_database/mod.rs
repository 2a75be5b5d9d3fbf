//! `CreateDatabase`: makes an org's database.

mod assign_database;
mod migrate_database;

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use yuantus_domain::OperationType;
use yuantus_identity::{entity::database, for_org, query::orphan::Leftover};
use yuantus_operations::{CleanUp, Outcome, Run, Step, StepError, Task};
use yuantus_postgres::{DatabaseInfo, Kind, LaneSession};

use crate::{Deps, failure, names};

pub(super) struct CreateDatabase;

#[async_trait]
impl Task<Deps> for CreateDatabase {
    fn kind(&self) -> OperationType {
        OperationType::CreateDatabase
    }

    fn steps(&self) -> &'static [&'static dyn Step<Deps>] {
        &[&assign_database::AssignDatabase, &migrate_database::MigrateDatabase]
    }

    /// Drops what was made: nobody was ever told its password. A database that
    /// says it is in use becomes a tombstone: an org may have had it, whatever
    /// the identity database knows of that.
    async fn clean_up(&self, deps: &Deps, run: &Run) -> Result<CleanUp, StepError> {
        let row = deps.database(run).await?;
        let name = crate::deps::name(&row.name)?;
        let plane = deps.plane.to_string();
        let mut lane = deps.lane(run).await?;
        let found = deps.server.database(&name).await.map_err(failure::postgres)?;
        let marker = found.as_ref().and_then(|info| info.marker.as_ref());
        let made = marker.is_some_and(|m| m.operation == Some(run.id().to_string()));
        if made && marker.is_some_and(|marker| marker.in_use) {
            keep_as_tombstone(deps, run, &mut lane, &row).await?;
        } else if made {
            lane.drop_database(&name, &plane, Kind::Tenant).await.map_err(failure::postgres)?;
        }
        if made || found.is_none() {
            lane.drop_role(&row.role).await.map_err(failure::postgres)?;
        }
        let own = names::own_spare(run.id())?;
        lane.drop_database(&own, &plane, Kind::Spare).await.map_err(failure::postgres)?;
        lane.close().await;
        Ok(CleanUp::Undone)
    }

    async fn leftovers(&self, deps: &Deps, run: &Run) -> Vec<Leftover> {
        let id = run.id().to_string();
        let row = deps.database(run).await.ok();
        let name = row.as_ref().and_then(|row| crate::deps::name(&row.name).ok());
        let ours = |info: &DatabaseInfo| {
            info.marker.as_ref().is_some_and(|marker| marker.operation.as_ref() == Some(&id))
        };
        let database = deps.still_there(name, ours).await;
        let own = deps.still_there(names::own_spare(run.id()).ok(), |_| true).await;
        let role = match row {
            Some(row) => deps.role_still_there(&row.role).await,
            None => None,
        };
        [database, own, role].into_iter().flatten().collect()
    }

    async fn record_undone(
        &self,
        run: &Run,
        txn: &DatabaseTransaction,
        why: &str,
    ) -> Result<(), StepError> {
        for_org(run.key()).fail_provisioning(txn, why).await?;
        Ok(())
    }
}

/// Records the tombstone, then makes it.
async fn keep_as_tombstone(
    deps: &Deps,
    run: &Run,
    lane: &mut LaneSession,
    row: &database::Model,
) -> Result<(), StepError> {
    let (name, tombstone) = (crate::deps::name(&row.name)?, names::tombstone(run.id())?);
    let txn = run.begin().await?;
    let retention = deps.limits.tombstone_retention;
    for_org(run.key()).put_tombstone(&txn, &tombstone, run.id(), retention).await?;
    run.commit(txn).await?;
    let (operation, plane) = (run.id().to_string(), deps.plane.to_string());
    lane.bury(&name, &row.role, &tombstone, &operation, &plane).await.map_err(failure::postgres)?;
    tracing::warn!(name = %tombstone, "a database in use was kept as a tombstone");
    Ok(())
}

/// That the org's database can be used, at `revision` of the bundle; with
/// another password than was recorded, where it is given.
fn ready(deps: &Deps, run: &Run, revision: i64, sealed_password: Option<Vec<u8>>) -> Outcome {
    let fingerprint = deps.bundle.fingerprint();
    Outcome::DoneWith(for_org(run.key()).ready(revision, fingerprint, sealed_password))
}
