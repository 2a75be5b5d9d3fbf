//! Shows that the dump can be loaded: makes everything in it but the rows, from
//! what is in the bucket, in a database that is dropped again. A backup that
//! cannot be restored is found out today, while what is in its way can be
//! mended.

use async_trait::async_trait;
use yuantus_backup::{Manifest, Repository};
use yuantus_domain::operation_input::OfBackup;
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult, crashpoint};
use yuantus_postgres::{
    Kind, LaneSession, Marker,
    restore::{Left, Load},
};

use super::{contents, recorded, repository};
use crate::{Deps, failure, names};

pub(super) struct TrialRestore;

#[async_trait]
impl Step<Deps> for TrialRestore {
    fn name(&self) -> &'static str {
        "trial_restore"
    }

    fn crash_points(&self) -> &'static [&'static str] {
        &["after_create", "after_load", "after_drop"]
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let input: OfBackup = run.input()?;
        let (prefix, manifest) = recorded(run, run.key(), input.backup_id).await?;
        let manifest = manifest
            .ok_or_else(|| StepError::refuse("BACKUP_DAMAGED", "the manifest was not kept"))?;
        let repository = repository(deps, run, run.key(), &prefix).await?;
        let mut lane = deps.lane(run).await?;
        // Half of it cannot be gone on with.
        drop_trial(deps, run, &mut lane).await?;
        let marker = Marker {
            operation: Some(run.id().to_string()),
            ..deps.marker(Kind::Restore, &manifest.facts.bundle_fingerprint)
        };
        let name = names::restore(run.id())?;
        lane.create_blank(&name, &marker).await.map_err(failure::postgres)?;
        crashpoint!("CreateBackup.trial_restore.after_create");
        let left = load(deps, run, &mut lane, &repository, &manifest).await?;
        crashpoint!("CreateBackup.trial_restore.after_load");
        drop_trial(deps, run, &mut lane).await?;
        crashpoint!("CreateBackup.trial_restore.after_drop");
        lane.close().await;
        run.warn(&left.gone).await?;
        Ok(Outcome::Advance)
    }
}

/// Loads the dump but for its rows, and refuses what a restore would leave out.
async fn load(
    deps: &Deps,
    run: &Run,
    lane: &mut LaneSession,
    repository: &Repository,
    manifest: &Manifest,
) -> Result<Left, StepError> {
    let row = deps.database(run).await?;
    let contents = contents(manifest, &row.role)?;
    let name = names::restore(run.id())?;
    let access = deps.server.access(&name, lane.tag());
    let dump = repository.open_dump(&manifest.snapshot_id, &manifest.dump_path).await;
    let dump = dump.map_err(failure::reading)?;
    let load = Load { access: &access, tools: &deps.tools, contents: contents.as_ref() };
    let mut left = load.load_schema(dump).await.map_err(failure::loading_schema)?;
    if !left.refused.is_empty() {
        let message = format!(
            "a restore could not put back what the administrator may not do; let it, or take it \
             back and back up again: {}",
            left.refused.join("; ")
        );
        return Err(StepError::refuse(failure::NOT_RESTORABLE, message));
    }
    let database = crate::deps::name(&row.name)?;
    let settings = contents.as_ref().map(|contents| &contents.settings);
    let carried = lane.carry_settings(&name, &database, &row.role, settings).await;
    left.gone.extend(carried.map_err(failure::postgres)?);
    Ok(left)
}

/// Drops the database of the trial, if there is one.
pub(super) async fn drop_trial(
    deps: &Deps,
    run: &Run,
    lane: &mut LaneSession,
) -> Result<(), StepError> {
    let plane = deps.plane.to_string();
    let name = names::restore(run.id())?;
    lane.drop_database(&name, &plane, Kind::Restore).await.map_err(failure::postgres)
}
