//! The spare databases: clones of the template that wait for an org.

use uuid::Uuid;
use yuantus_identity::query::deployment;
use yuantus_operations::StepError;
use yuantus_postgres::{Ahead, DatabaseInfo, Kind, LaneSession, Marker, WaitingRole, scram};

use super::templates;
use crate::{Deps, failure, names, space};

/// The lane of this work; no org's, since those hold a `/`.
const LANE: &str = "spares";

/// Brings the number of spare databases to the target; drops those of an
/// older bundle.
pub(super) async fn fill(deps: &Deps) -> Result<(), StepError> {
    if is_full(deps).await? {
        return Ok(());
    }
    // Whoever leads later has the higher epoch, and ends the one before.
    let epoch = deployment::clock(&deps.db).await?;
    let mut lane = deps.open_lane(LANE, epoch).await?;
    let filled = fill_from(deps, &mut lane).await;
    lane.close().await;
    filled
}

async fn is_full(deps: &Deps) -> Result<bool, StepError> {
    let fingerprint = deps.bundle.fingerprint();
    let spares = spares(deps).await?;
    if spares.len() < deps.limits.spares || spares.iter().any(|s| !is_of(s, fingerprint)) {
        return Ok(false);
    }
    let template = names::template(fingerprint, deps.plane)?;
    let there = deps.server.database(&template).await.map_err(failure::postgres)?;
    let names: Vec<_> = spares.iter().map(|spare| &spare.name).chain([&template]).collect();
    let stale = deps.server.stale_collations(&names).await.map_err(failure::postgres)?;
    Ok(stale.is_empty() && there.is_some_and(|info| !info.allows_connections))
}

fn is_of(info: &DatabaseInfo, fingerprint: &str) -> bool {
    info.marker.as_ref().is_some_and(|marker| marker.fingerprint == fingerprint)
}

async fn fill_from(deps: &Deps, lane: &mut LaneSession) -> Result<(), StepError> {
    space::require(deps, "making spare databases", 0).await?;
    let template = templates::ensure(deps, lane).await?;
    let (plane, fingerprint) = (deps.plane.to_string(), deps.bundle.fingerprint());
    for slot in 0..deps.limits.spares {
        let name = names::pooled(deps.plane, slot)?;
        let there = deps.server.database(&name).await.map_err(failure::postgres)?;
        match there {
            Some(info)
                if is_of(&info, fingerprint) && !templates::is_stale(deps, &name).await? =>
            {
                continue;
            }
            Some(info) if info.marker.is_some() => {
                lane.drop_database(&name, &plane, Kind::Spare).await.map_err(failure::postgres)?;
            }
            _ => {}
        }
        let role =
            WaitingRole { key: deps.derived.key_name(), seed: Uuid::new_v4().simple().to_string() };
        let verifier = scram::verifier(&deps.derived.password(&role.seed));
        let marker = Marker { role: Some(role), ..deps.marker(Kind::Spare, fingerprint) };
        lane.clone_template(&template, &name, &marker, Ahead::All { verifier: &verifier })
            .await
            .map_err(failure::postgres)?;
    }
    templates::drop_old(deps, lane, &template).await
}

/// The spare databases of the pool that are there.
async fn spares(deps: &Deps) -> Result<Vec<DatabaseInfo>, StepError> {
    let pool = names::pool(deps.plane, deps.limits.spares)?;
    deps.server.databases_named(&pool).await.map_err(failure::postgres)
}
