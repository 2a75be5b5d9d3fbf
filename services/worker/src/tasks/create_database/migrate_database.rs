//! Migrates the database, unless it came from a template of this bundle, makes
//! it say that it is in use, and records that it can be used.

use async_trait::async_trait;
use yuantus_operations::{Run, Step, StepResult, crashpoint};

use super::ready;
use crate::{Deps, failure, tasks::migrate_database::migrate};

pub(super) struct MigrateDatabase;

#[async_trait]
impl Step<Deps> for MigrateDatabase {
    fn name(&self) -> &'static str {
        "migrate_database"
    }

    fn crash_points(&self) -> &'static [&'static str] {
        &["after_mark"]
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let row = deps.database(run).await?;
        let name = crate::deps::name(&row.name)?;
        let info = deps.server.database(&name).await.map_err(failure::postgres)?;
        let marker = info.and_then(|info| info.marker);
        let in_use = marker.as_ref().is_some_and(|marker| marker.in_use);
        let fingerprint = deps.bundle.fingerprint();
        let revision = match marker {
            Some(marker) if marker.fingerprint == fingerprint => deps.bundle.target(),
            _ => migrate(deps, run, &name).await?,
        };
        if !in_use {
            let mut lane = deps.lane(run).await?;
            let plane = deps.plane.to_string();
            lane.mark_in_use(&name, &plane).await.map_err(failure::postgres)?;
            crashpoint!("CreateDatabase.migrate_database.after_mark");
            lane.close().await;
        }
        Ok(ready(deps, run, revision, None))
    }
}
