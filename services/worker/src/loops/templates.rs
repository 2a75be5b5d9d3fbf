//! The template of the bundle: built once, by migrating an empty database, and
//! anew where the server's collation version has changed since: PostgreSQL
//! clones no such database, and orgs' indexes would be out of order.

use yuantus_domain::DatabaseName;
use yuantus_operations::StepError;
use yuantus_postgres::{Kind, LaneSession};

use crate::{Deps, failure, names};

/// Makes sure that the template is there and closed; answers its name. Until
/// it is closed nobody clones it, so a crash while it is built harms nobody.
pub(super) async fn ensure(deps: &Deps, lane: &mut LaneSession) -> Result<DatabaseName, StepError> {
    let fingerprint = deps.bundle.fingerprint();
    let template = names::template(fingerprint, deps.plane)?;
    let there = deps.server.database(&template).await.map_err(failure::postgres)?;
    let stale = is_stale(deps, &template).await?;
    if there.is_some_and(|info| !info.allows_connections) && !stale {
        return Ok(template);
    }
    if stale {
        tracing::warn!(%template, "the server's collation version has changed: the template is \
            built anew; databases made before need REINDEX and ALTER DATABASE … REFRESH \
            COLLATION VERSION");
        let plane = deps.plane.to_string();
        lane.drop_database(&template, &plane, Kind::Template).await.map_err(failure::postgres)?;
    }
    let marker = deps.marker(Kind::Template, fingerprint);
    lane.create_blank(&template, &marker).await.map_err(failure::postgres)?;
    let access = deps.server.access(&template, lane.tag());
    yuantus_tenant_schema::migrate(&deps.bundle, &access, &|_, _| {})
        .await
        .map_err(failure::schema)?;
    lane.seal_template(&template).await.map_err(failure::postgres)?;
    tracing::info!(%template, "built the template");
    Ok(template)
}

/// Whether a database cannot be cloned, or is a clone that should not be used.
pub(crate) async fn is_stale(deps: &Deps, name: &DatabaseName) -> Result<bool, StepError> {
    let stale = deps.server.stale_collations(&[name]).await.map_err(failure::postgres)?;
    Ok(!stale.is_empty())
}

/// Drops templates of bundles that are no longer in use, one at a time.
pub(super) async fn drop_old(
    deps: &Deps,
    lane: &mut LaneSession,
    current: &DatabaseName,
) -> Result<(), StepError> {
    let plane = deps.plane.to_string();
    let all = deps.server.databases(Kind::Template).await.map_err(failure::postgres)?;
    let old = all.into_iter().find(|info| {
        info.name != *current && info.marker.as_ref().is_some_and(|m| m.plane == plane)
    });
    if let Some(old) = old {
        lane.drop_database(&old.name, &plane, Kind::Template).await.map_err(failure::postgres)?;
    }
    Ok(())
}
