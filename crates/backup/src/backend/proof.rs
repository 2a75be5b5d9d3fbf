//! Reading files that are named by the SHA-256 of what is in them, which is all but the config.
//!
//! Invariant: what is given on is what the name says. What is not is read again before it is
//! believed: only the same wrong bytes twice are damage. Bytes that are wrong in another way each
//! time were damaged on their way, and that is a failure of S3.

use std::sync::Arc;

use bytes::Bytes;
use rustic_core::Id;
use yuantus_storage::{Cause, ObjectStore, Subject};

use super::Failed;
use crate::{error::Damage, pack::hash};

/// How often a file is read until what is wrong with it is decided.
const READS: usize = 3;

/// What is larger is hashed on a thread that may block.
const SMALL: usize = 64 * 1024;

/// Reads the file at `key`, which is named `id`.
pub(crate) async fn read_named(store: &ObjectStore, key: &str, id: Id) -> Result<Bytes, Failed> {
    let mut wrong = Vec::new();
    while wrong.len() < READS {
        let content = store.get(key).await?;
        let found = digest(content.clone()).await;
        if found == id {
            if !wrong.is_empty() {
                tracing::warn!(key, "was read wrong, and right when it was read again");
            }
            return Ok(content);
        }
        if wrong.contains(&found) {
            let what = format!("has the SHA-256 {found}, {} bytes", content.len());
            return Err(Failed::Damaged(Arc::new(Damage { subject: format!("{key:?}"), what })));
        }
        wrong.push(found);
    }
    Err(unsteady(store, key).into())
}

/// An object that is wrong and different each time it is read.
pub(crate) fn unsteady(store: &ObjectStore, key: &str) -> yuantus_storage::Error {
    yuantus_storage::Error::Request {
        operation: "GetObject",
        subject: Subject { bucket: store.bucket().to_owned(), key: key.to_owned() },
        cause: Cause::Contradiction("each time it is read there is something else".to_owned()),
    }
}

async fn digest(content: Bytes) -> Id {
    if content.len() <= SMALL {
        return hash(&content);
    }
    // A thread that dies has hashed nothing, which no file is named.
    tokio::task::spawn_blocking(move || hash(&content)).await.unwrap_or_default()
}
