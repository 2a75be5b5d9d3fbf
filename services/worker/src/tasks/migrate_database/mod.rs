//! `MigrateDatabase`: brings an org's database to the bundle's newest
//! migration.

mod apply_migrations;

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use yuantus_domain::{DatabaseName, OperationType};
use yuantus_identity::query::orphan::Leftover;
use yuantus_operations::{CleanUp, Run, Step, StepError, Task};

use crate::{Deps, failure, progress::with_progress};

pub(super) struct MigrateDatabase;

#[async_trait]
impl Task<Deps> for MigrateDatabase {
    fn kind(&self) -> OperationType {
        OperationType::MigrateDatabase
    }

    fn steps(&self) -> &'static [&'static dyn Step<Deps>] {
        &[&apply_migrations::ApplyMigrations]
    }

    /// Migrations go forward only: each that was applied stays and is recorded
    /// in the database's own history, from which the next attempt goes on.
    async fn clean_up(&self, _deps: &Deps, _run: &Run) -> Result<CleanUp, StepError> {
        Ok(CleanUp::Undone)
    }

    async fn leftovers(&self, _deps: &Deps, _run: &Run) -> Vec<Leftover> {
        Vec::new()
    }

    async fn record_undone(
        &self,
        _run: &Run,
        _txn: &DatabaseTransaction,
        _why: &str,
    ) -> Result<(), StepError> {
        Ok(())
    }
}

/// Applies what is pending to the database `name`.
/// Answers the revision it is at then.
pub(super) async fn migrate(deps: &Deps, run: &Run, name: &DatabaseName) -> Result<i64, StepError> {
    let lane = deps.database_lane(run, name).await?;
    let access = deps.server.access(name, lane.tag());
    let applied = with_progress(run, "migrations", |reporter| async move {
        let report = |done, total| reporter.report(done, total);
        yuantus_tenant_schema::migrate(&deps.bundle, &access, &report).await
    });
    let report = applied.await.map_err(failure::schema)?;
    lane.close().await;
    Ok(report.to)
}
