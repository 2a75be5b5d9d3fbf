//! Whether the bucket is this control plane's: an object in it says whose it
//! is. Who starts first makes the bucket and marks it.
//!
//! Invariant: no process works with a bucket that says it is another plane's,
//! or that was marked once and is not any more: it is another, or was emptied,
//! and what is missing there is not damage.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use yuantus_control_plane::app::bucket_mark;
use yuantus_identity::{
    Database,
    query::{backup, recovery},
};
use yuantus_storage::ObjectStore;

use crate::failure::{Failure, chain};

/// How long a start waits for the bucket.
const AT_START: Duration = Duration::from_secs(2);
/// Before the second attempt to reach it; doubled for each one after.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Between two attempts at most.
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// Sees whose the bucket is; one that cannot be reached now is looked at again
/// and again by the task that this starts, which stops the process by `shutdown`
/// where the bucket turns out to be another's.
pub(crate) async fn check_at_start(
    tasks: &mut tokio::task::JoinSet<()>,
    db: &Database,
    store: &ObjectStore,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    match tokio::time::timeout(AT_START, look(db, store)).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(Unusable::Foreign(failure))) => return Err(failure),
        // Whatever wrote next would make it again, empty: a person decides.
        Ok(Err(Unusable::Missing(_))) => return Err(emptied(store.bucket())),
        Ok(Err(Unusable::Away(error))) => tell(store, &error),
        Err(_) => tell(store, "no answer in time"),
    }
    tasks.spawn(run_look(db.clone(), store.clone(), shutdown.clone()));
    Ok(())
}

fn tell(store: &ObjectStore, error: &str) {
    tracing::warn!(bucket = store.bucket(), error, "the bucket cannot be used");
}

/// Each cause that it cannot be used is said once.
async fn run_look(db: Database, store: ObjectStore, shutdown: CancellationToken) {
    let (mut said, mut pause) = (String::new(), FIRST_PAUSE);
    while shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = LAST_PAUSE.min(pause * 2);
        match look(&db, &store).await {
            Ok(()) => {
                return tracing::info!(bucket = store.bucket(), "the bucket can be used now");
            }
            Err(Unusable::Foreign(failure)) => {
                tracing::error!(%failure, "stopping: the bucket is not this control plane's");
                return shutdown.cancel();
            }
            Err(Unusable::Away(error) | Unusable::Missing(error)) => {
                if error != said {
                    tell(&store, &error);
                    said = error;
                }
            }
        }
    }
}

/// Why the bucket cannot be used.
enum Unusable {
    /// It does not answer, or refuses.
    Away(String),
    /// It was marked once, and does not exist, as the server says now.
    Missing(String),
    /// It is another's, or was emptied.
    Foreign(Failure),
}

async fn look(db: &Database, store: &ObjectStore) -> Result<(), Unusable> {
    let away = |error: &(dyn std::error::Error + 'static)| Unusable::Away(chain(error));
    let standing = recovery::standing(db).await.map_err(|error| away(&error))?;
    if !standing.bucket_marked {
        store.ensure_bucket().await.map_err(|error| away(&error))?;
    }
    let found = match bucket_mark::read(store).await {
        Ok(found) => found,
        Err(error) if error.is_missing_bucket() => return Err(Unusable::Missing(chain(&error))),
        Err(error) => return Err(away(&error)),
    };
    let bucket = store.bucket();
    match found {
        Some(plane) if plane == standing.plane => {}
        Some(plane) => {
            let whose = format!("bucket `{bucket}` is that of control plane {plane}");
            let remedy = "each needs a bucket of its own: see storage.bucket";
            return Err(Unusable::Foreign(foreign(whose, remedy)));
        }
        None if standing.bucket_marked => return Err(Unusable::Foreign(emptied(bucket))),
        None => {
            let newest = backup::newest_complete(db).await.map_err(|error| away(&error))?;
            if let Some(prefix) = newest
                && store.list(&prefix).await.map_err(|error| away(&error))?.is_empty()
            {
                return Err(Unusable::Foreign(emptied(bucket)));
            }
            bucket_mark::write(store, standing.plane).await.map_err(|error| away(&error))?;
            // Another plane may have done so in the same moment.
            let now = bucket_mark::read(store).await.map_err(|error| away(&error))?;
            if now != Some(standing.plane) {
                let whose =
                    format!("bucket `{bucket}` was taken by another control plane just now");
                return Err(Unusable::Foreign(foreign(whose, "each needs a bucket of its own")));
            }
        }
    }
    recovery::record_bucket(db).await.map_err(|error| away(&error))?;
    store.expect_bucket();
    Ok(())
}

fn emptied(bucket: &str) -> Failure {
    foreign(
        format!("bucket `{bucket}` is not the one that backups were written to, or was emptied"),
        "set storage.bucket and storage.endpoint_url to that one, or give this one to the control \
         plane with `yuantus db release --mark-bucket`",
    )
}

fn foreign(what: String, remedy: &str) -> Failure {
    Failure::local("use the bucket", format!("{what}: {remedy}"))
}
