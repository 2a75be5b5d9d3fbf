//! Makes a new, empty database and loads the dump into it. What an earlier
//! attempt left is dropped first: half a load cannot be resumed. Invariant: the
//! step ends only with the very bytes that were backed up.

use async_trait::async_trait;
use yuantus_operations::{Outcome, Run, Step, StepResult, crashpoint};
use yuantus_postgres::{Kind, Marker, restore::Load};

use super::{backup, contents, is_swapped, repository};
use crate::{
    Deps, failure, names,
    progress::{Counted, with_progress},
};

pub(super) struct LoadDump;

#[async_trait]
impl Step<Deps> for LoadDump {
    fn name(&self) -> &'static str {
        "load_dump"
    }

    fn crash_points(&self) -> &'static [&'static str] {
        &["after_create", "after_load"]
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let (input, prefix, manifest) = backup(run).await?;
        let incoming = names::restore(run.id())?;
        let marker = Marker {
            operation: Some(run.id().to_string()),
            ..deps.marker(Kind::Restore, &manifest.facts.bundle_fingerprint)
        };
        // The org's database remembers this restore, though it is not touched yet: an
        // identity database that knows less is noticed.
        let target = crate::deps::name(&deps.database(run).await?.name)?;
        let mut lane = deps.database_lane(run, &target).await?;
        if is_swapped(deps, run).await? {
            lane.close().await;
            return Ok(Outcome::Advance);
        }
        lane.drop_database(&incoming, &marker.plane, Kind::Restore)
            .await
            .map_err(failure::postgres)?;
        lane.create_blank(&incoming, &marker).await.map_err(failure::postgres)?;
        crashpoint!("RestoreDatabase.load_dump.after_create");
        let role = deps.database(run).await?.role;
        let contents = contents(&manifest, &role)?;
        // What was the role's is to be its again, also where the org is new.
        if contents.as_ref().is_some_and(|contents| contents.names_role()) {
            lane.make_role(&role).await.map_err(failure::postgres)?;
        }
        let access = deps.server.access(&incoming, lane.tag());
        let repository = repository(deps, run, &input.source, &prefix).await?;
        let dump = repository.open_checked(&manifest).await;
        let mut dump = dump.map_err(failure::reading)?;
        let total = manifest.dump_bytes;
        let load = Load { access: &access, tools: &deps.tools, contents: contents.as_ref() };
        let left = with_progress(run, "bytes", |reporter| async {
            let dump = Counted::new(&mut dump, move |bytes| reporter.report(bytes, total));
            load.load(dump).await.map_err(failure::loading)
        })
        .await?;
        // What was loaded is the dump of the manifest, byte for byte, or it is not used.
        dump.prove().await.map_err(failure::reading)?;
        crashpoint!("RestoreDatabase.load_dump.after_load");
        lane.close().await;
        run.warn(&[left.gone, left.refused].concat()).await?;
        Ok(Outcome::Advance)
    }
}
