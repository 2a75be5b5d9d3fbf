//! Dropping databases that a restore replaced, once their time has come. A
//! drop forces a checkpoint, so they are paced.

use std::time::Duration;

use yuantus_identity::query::{deployment, tombstone};
use yuantus_operations::StepError;
use yuantus_postgres::Kind;

use crate::{Deps, deps::name, failure};

/// Between two drops.
const PACE: Duration = Duration::from_secs(2);

/// Drops what has expired. One that cannot be dropped keeps no other.
pub(super) async fn drop_expired(deps: &Deps) -> Result<(), StepError> {
    for expired in tombstone::expired(&deps.db, 50).await? {
        if let Err(error) = drop_one(deps, &expired.name).await {
            tracing::warn!(%error, name = expired.name, "an expired tombstone was not dropped");
            continue;
        }
        tombstone::delete(&deps.db, &expired.name).await?;
        let operation = expired.operation_id;
        tracing::info!(name = expired.name, %operation, "dropped an expired tombstone");
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

async fn drop_one(deps: &Deps, tombstone: &str) -> Result<(), StepError> {
    let epoch = deployment::clock(&deps.db).await?;
    let mut lane = deps.open_lane("tombstones", epoch).await?;
    let plane = deps.plane.to_string();
    let dropped = lane.drop_database(&name(tombstone)?, &plane, Kind::Tombstone).await;
    lane.close().await;
    dropped.map_err(failure::postgres)
}
