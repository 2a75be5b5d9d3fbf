//! The newest checkpoint of every tenant, kept outside the identity database: an
//! object in the bucket. Whoever owns the database alone cannot take a
//! checkpoint back that the bucket knows.
//!
//! Invariant: a checkpoint is put here after it is committed, and this is read
//! before the identity database is. So what it names is there, unless it was
//! taken away.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use yuantus_identity::query::audit_chain::Checkpoint;
use yuantus_storage::ObjectStore;

use crate::{Error, Result};

/// The object, as JSON: a checkpoint, bytes in hex, times in microseconds since
/// 1970.
#[derive(Deserialize, Serialize)]
struct Stored {
    tenant: String,
    number: i64,
    kind: String,
    seq: i64,
    hash: String,
    first_seq: i64,
    rows: i64,
    first_at: i64,
    last_at: i64,
    key_id: String,
    previous: String,
    signature: String,
}

fn key(tenant: &str) -> String {
    format!("control-plane/audit/{tenant}/checkpoint.json")
}

/// The checkpoint that the bucket holds. Nothing where it holds none; what it
/// says is not checked yet.
pub(crate) async fn read(store: &ObjectStore, tenant: &str) -> Result<Option<Checkpoint>> {
    let key = key(tenant);
    let object = match store.get(&key).await {
        Ok(object) => object,
        // No such object, or no bucket yet.
        Err(error) if error.is_not_found() || error.is_missing_bucket() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stored = serde_json::from_slice(&object).ok().and_then(from_stored);
    stored.map(Some).ok_or(Error::UnreadableCopy { key })
}

/// Puts a numbered checkpoint there.
pub(crate) async fn write(store: &ObjectStore, checkpoint: &Checkpoint) -> Result<()> {
    let key = key(&checkpoint.tenant_id);
    let json = serde_json::to_vec_pretty(&to_stored(checkpoint));
    let json = json.map_err(|_| Error::UnreadableCopy { key: key.clone() })?;
    Ok(store.put(&key, Bytes::from(json)).await?)
}

fn to_stored(checkpoint: &Checkpoint) -> Stored {
    Stored {
        tenant: checkpoint.tenant_id.clone(),
        number: checkpoint.number.unwrap_or_default(),
        kind: checkpoint.kind.clone(),
        seq: checkpoint.seq,
        hash: hex::encode(&checkpoint.hash),
        first_seq: checkpoint.first_seq,
        rows: checkpoint.rows,
        first_at: checkpoint.first_at.timestamp_micros(),
        last_at: checkpoint.last_at.timestamp_micros(),
        key_id: checkpoint.key_id.clone(),
        previous: hex::encode(checkpoint.previous.as_deref().unwrap_or_default()),
        signature: hex::encode(&checkpoint.signature),
    }
}

fn from_stored(stored: Stored) -> Option<Checkpoint> {
    use sea_orm::prelude::DateTimeUtc;
    Some(Checkpoint {
        id: 0,
        tenant_id: stored.tenant,
        kind: stored.kind,
        seq: stored.seq,
        hash: hex::decode(stored.hash).ok()?,
        first_seq: stored.first_seq,
        rows: stored.rows,
        first_at: DateTimeUtc::from_timestamp_micros(stored.first_at)?,
        last_at: DateTimeUtc::from_timestamp_micros(stored.last_at)?,
        key_id: stored.key_id,
        signature: hex::decode(stored.signature).ok()?,
        number: Some(stored.number),
        previous: Some(hex::decode(stored.previous).ok()?),
    })
}
