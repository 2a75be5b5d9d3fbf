//! Removing what operations left behind when they could not be undone.
//!
//! Invariant: an orphan is removed on the word of both sides. The identity
//! database says that the operation which left it has given up and that nothing
//! of its lane is under way; the server says that the operation made it, by
//! its marker. Objects that hold a snapshot stay for a person to look at: a
//! bucket cannot say whether somebody restored from it. What turns out not to
//! be what was left (it is gone, or in use) is taken off the list alone.

use std::time::Duration;

use yuantus_domain::{OrgKey, OrphanKind};
use yuantus_identity::{
    entity::orphan::Model,
    for_org,
    query::orphan::{self, Leftover},
};
use yuantus_operations::{StepError, crashpoint};
use yuantus_postgres::{DatabaseInfo, Kind, LaneSession};

use crate::{
    Deps,
    deps::name,
    failure,
    names::{RESTORES, SPARES},
};

/// At most so many in one round.
const ROUND: u64 = 20;
/// Between two of them: a drop forces a checkpoint.
const PACE: Duration = Duration::from_secs(1);
/// Any claim has a higher epoch, and ends this session before it acts.
const LOWEST_EPOCH: i64 = 0;

/// What came of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removal {
    /// It is gone.
    Done,
    /// It is not what was left behind any more.
    Nothing,
    /// Its lane is at work.
    NotNow,
}

/// Tries again to remove what is due. One that cannot be removed keeps no other.
pub(super) async fn remove_due(deps: &Deps) -> Result<(), StepError> {
    for left in orphan::due(&deps.db, ROUND).await? {
        let (what, of) = (left.kind.as_str(), left.name.as_str());
        match remove(deps, &left).await {
            Ok(Removal::NotNow) | Err(StepError::Lost) => continue,
            Ok(Removal::Done) => {
                crashpoint!("remove_orphan.after_removal");
                orphan::delete(&deps.db, &left).await?;
                tracing::info!(operation_id = %left.operation_id, tenant_id = left.tenant_id,
                    org_id = left.org_id, what, name = of, "removed an orphan");
            }
            Ok(Removal::Nothing) => {
                orphan::delete(&deps.db, &left).await?;
                tracing::info!(operation_id = %left.operation_id, tenant_id = left.tenant_id,
                    org_id = left.org_id, what, name = of, "an orphan is none any more");
            }
            Err(error) => {
                let at = orphan::postpone(&deps.db, &left, &error.to_string()).await?;
                let at = at.map(|at| at.to_string());
                tracing::warn!(operation_id = %left.operation_id, tenant_id = left.tenant_id,
                    org_id = left.org_id, what, name = of, attempt = left.attempts + 1,
                    next_attempt_at = at, %error, "an orphan could not be removed");
            }
        }
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

/// Lists a database that an ended operation left behind and that could not be
/// dropped, so that it is tried again less and less often.
pub(super) async fn list(
    deps: &Deps,
    operation: &yuantus_identity::entity::operation::Model,
    database: &DatabaseInfo,
    why: &StepError,
) -> Result<(), StepError> {
    let key = OrgKey::parse(&operation.tenant_id, &operation.org_id)
        .map_err(|error| StepError::fail("INTERNAL", error))?;
    let left = [Leftover::database(&database.name)];
    Ok(orphan::insert(&deps.db, operation.id, &key, &left, &why.to_string()).await?)
}

async fn remove(deps: &Deps, left: &Model) -> Result<Removal, StepError> {
    if orphan::is_in_use(&deps.db, left).await? {
        return Ok(Removal::Nothing);
    }
    match OrphanKind::parse(&left.kind) {
        Some(OrphanKind::Database) => {
            let Some(mut lane) = take_lane(deps, left).await? else { return Ok(Removal::NotNow) };
            let removed = drop_database(deps, left, &mut lane).await;
            lane.close().await;
            removed
        }
        Some(OrphanKind::Role) => {
            let Some(mut lane) = take_lane(deps, left).await? else { return Ok(Removal::NotNow) };
            let removed = drop_role(deps, left, &mut lane).await;
            lane.close().await;
            removed
        }
        Some(OrphanKind::BackupPrefix) => delete_objects(deps, left).await,
        None => Err(StepError::refuse("INTERNAL", format!("no kind `{}` is known", left.kind))),
    }
}

/// Takes the lane of the org on the server, unless somebody is at work there.
async fn take_lane(deps: &Deps, left: &Model) -> Result<Option<LaneSession>, StepError> {
    let lane = format!("{}/{}", left.tenant_id, left.org_id);
    let lane = deps.open_lane(&lane, LOWEST_EPOCH).await?;
    if orphan::may_remove(&deps.db, left).await? {
        return Ok(Some(lane));
    }
    lane.close().await;
    Ok(None)
}

fn kind_of(database: &str) -> Kind {
    if database.starts_with(RESTORES) {
        Kind::Restore
    } else if database.starts_with(SPARES) {
        Kind::Spare
    } else {
        Kind::Tenant
    }
}

/// Whether the operation that left the orphan made this database.
fn made_by(info: &DatabaseInfo, left: &Model) -> bool {
    match &info.marker {
        Some(marker) => marker.operation == Some(left.operation_id.to_string()),
        // Left unmarked by a crash: its name holds the operation's id.
        None => info.name.as_str().ends_with(&left.operation_id.simple().to_string()),
    }
}

async fn drop_database(
    deps: &Deps,
    left: &Model,
    lane: &mut LaneSession,
) -> Result<Removal, StepError> {
    let database = name(&left.name)?;
    match deps.server.database(&database).await.map_err(failure::postgres)? {
        None => return Ok(Removal::Done),
        Some(info) if !made_by(&info, left) => return Ok(Removal::Nothing),
        Some(_) => {}
    }
    let (plane, kind) = (deps.plane.to_string(), kind_of(&left.name));
    lane.drop_database(&database, &plane, kind).await.map_err(failure::postgres)?;
    Ok(Removal::Done)
}

/// A role goes after the database that it was made for.
async fn drop_role(
    deps: &Deps,
    left: &Model,
    lane: &mut LaneSession,
) -> Result<Removal, StepError> {
    let key = OrgKey::parse(&left.tenant_id, &left.org_id)
        .map_err(|error| StepError::fail("INTERNAL", error))?;
    let row = for_org(&key).database(&deps.db).await?;
    let Some(row) = row.filter(|row| row.role == left.name) else { return Ok(Removal::Nothing) };
    let there = deps.server.database(&name(&row.name)?).await.map_err(failure::postgres)?;
    match there {
        None => {
            lane.drop_role(&left.name).await.map_err(failure::postgres)?;
            Ok(Removal::Done)
        }
        Some(info) if made_by(&info, left) => {
            let message = format!("its database `{}` is still there", row.name);
            Err(StepError::Retry { reason: "DATABASE_FAILED", message, source: None })
        }
        Some(_) => Ok(Removal::Nothing),
    }
}

/// Deletes what was there before the identity database was asked: a claim that
/// takes the operation up again afterwards writes under a prefix of its own.
async fn delete_objects(deps: &Deps, left: &Model) -> Result<Removal, StepError> {
    let objects = deps.store.list(&left.name).await.map_err(failure::storage)?;
    if objects.iter().any(|object| object.key.contains("/snapshots/")) {
        let message = "it holds a snapshot: look at it, and delete it by hand";
        return Err(StepError::refuse("STORAGE_FAILED", message));
    }
    if !orphan::may_remove(&deps.db, left).await? {
        return Ok(Removal::NotNow);
    }
    for object in objects {
        deps.store.delete(&object.key).await.map_err(failure::storage)?;
    }
    Ok(Removal::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_dropped_as_what_its_name_says_it_is() {
        assert_eq!(kind_of("yuantus_mt_restore__0197"), Kind::Restore);
        assert_eq!(kind_of("yuantus_mt_spare__0197"), Kind::Spare);
        assert_eq!(kind_of("yuantus_mt_pg__acme__hq"), Kind::Tenant);
    }
}
