//! Spare and restore databases that an operation made for itself and left
//! behind. Each names its operation, in its marker or, where a crash left it
//! unmarked, in its name; once that has ended, nobody needs it. One whose
//! operation the identity database does not know is left alone, and listed by
//! `yuantus doctor`: it may be that of another history. And roles that
//! wait with spare databases which somebody dropped without them.

use uuid::Uuid;
use yuantus_domain::OperationState;
use yuantus_identity::{
    entity::operation::Model,
    query::{
        deployment, operation,
        orphan::{self, Leftover},
    },
};
use yuantus_operations::StepError;
use yuantus_postgres::{DatabaseInfo, Kind, LaneSession};

use super::listed_orphans;
use crate::{
    Deps, failure,
    names::{self, RESTORES, SPARES},
};

/// The lane of this work; no org's, since those hold a `/`.
const LANE: &str = "orphans";

/// Drops what ended operations left behind. One that cannot be dropped keeps
/// no other.
pub(super) async fn drop_orphans(deps: &Deps) -> Result<(), StepError> {
    for (kind, prefix) in [(Kind::Restore, RESTORES), (Kind::Spare, SPARES)] {
        let found = deps.server.databases_with_prefix(prefix).await.map_err(failure::postgres)?;
        for info in found {
            // One that is listed has its own times at which it is tried again.
            if !is_orphan(deps, &info, prefix).await?
                || orphan::is_listed(&deps.db, &Leftover::database(&info.name)).await?
            {
                continue;
            }
            if let Err(error) = drop_orphan(deps, &info, kind).await {
                tracing::warn!(%error, name = %info.name, "an orphan was not dropped");
                if let Some(maker) = maker(deps, &info, prefix).await? {
                    listed_orphans::list(deps, &maker, &info, &error).await?;
                }
            }
        }
    }
    drop_waiting_roles(deps).await
}

async fn lane(deps: &Deps) -> Result<LaneSession, StepError> {
    let epoch = deployment::clock(&deps.db).await?;
    deps.open_lane(LANE, epoch).await
}

async fn drop_waiting_roles(deps: &Deps) -> Result<(), StepError> {
    let spares = names::pool_prefix(deps.plane);
    for spare in deps.server.left_by_roles(&spares).await.map_err(failure::postgres)? {
        let mut lane = lane(deps).await?;
        let dropped = lane.drop_waiting_roles(&spare).await;
        lane.close().await;
        dropped.map_err(failure::postgres)?;
        tracing::info!(name = %spare, "dropped a role that waited with a database that is gone");
    }
    Ok(())
}

/// The id of the operation that made it, as the database says.
fn maker_id(deps: &Deps, info: &DatabaseInfo, prefix: &str) -> Option<Uuid> {
    let maker = match &info.marker {
        Some(marker) if marker.plane != deps.plane.to_string() => None,
        Some(marker) => marker.operation.as_deref(),
        None => info.name.as_str().strip_prefix(prefix),
    };
    maker.and_then(|id| Uuid::parse_str(id).ok())
}

/// The operation that made it, as far as it is recorded. One that is not may be
/// of another history: what it made is no orphan.
async fn maker(deps: &Deps, info: &DatabaseInfo, prefix: &str) -> Result<Option<Model>, StepError> {
    match maker_id(deps, info, prefix) {
        Some(id) => Ok(operation::find(&deps.db, id).await?),
        None => Ok(None),
    }
}

async fn is_orphan(deps: &Deps, info: &DatabaseInfo, prefix: &str) -> Result<bool, StepError> {
    let maker = maker(deps, info, prefix).await?;
    let state = maker.and_then(|operation| OperationState::parse(&operation.state));
    Ok(state.is_some_and(OperationState::is_final))
}

async fn drop_orphan(deps: &Deps, info: &DatabaseInfo, kind: Kind) -> Result<(), StepError> {
    let mut lane = lane(deps).await?;
    let dropped = lane.drop_database(&info.name, &deps.plane.to_string(), kind).await;
    lane.close().await;
    dropped.map_err(failure::postgres)?;
    tracing::info!(name = %info.name, "dropped a database that an ended operation left behind");
    Ok(())
}
