//! Databases that a restore replaced, at the server's console.

use sea_orm::TransactionTrait;
use serde_json::json;
use yuantus_domain::{Error, Result};
use yuantus_identity::{Context, Database, entity::tombstone::Model, query::tombstone};

use super::audit;

/// All of them, those first that go first.
pub async fn tombstones(db: &Database) -> Result<Vec<Model>> {
    Ok(tombstone::all(db).await?)
}

/// Ends the time that one is kept for, and records it. A worker drops it as it
/// drops every one whose time has come: if it is one, and this plane's.
pub async fn expire_tombstone(db: &Database, name: &str) -> Result<Model> {
    let txn = db.begin().await.during("begin")?;
    let expired = tombstone::expire(&txn, name).await?;
    let expired = expired.ok_or_else(|| Error::not_found("tombstone", name))?;
    let (tenant, org) = (expired.tenant_id.as_str(), expired.org_id.as_str());
    let details = json!({ "operation": expired.operation_id, "made": expired.created_at });
    audit::record(&txn, "tombstone.expire", tenant, org, format!("tombstones/{name}"), details)
        .await?;
    txn.commit().await.during("commit")?;
    Ok(expired)
}
