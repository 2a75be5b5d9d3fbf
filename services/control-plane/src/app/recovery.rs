//! What a person at the server's console decides where the identity database
//! and what it manages differ.

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;
use uuid::Uuid;
use yuantus_domain::{Error, OperationType, OrgKey, Result, id::PLATFORM};
use yuantus_identity::{
    Context,
    entity::operation::Model as Operation,
    for_org,
    query::{operation, recovery},
};

use yuantus_operations::{crashpoint, step::chain};

use super::{App, audit, bucket_mark, operation::sets_up_org, owner::console_reason};

/// What ending recovery mode came to.
#[derive(Clone, Debug)]
pub struct Released {
    /// Operations that go on.
    pub resumed: u64,
    /// Restores that were asked for before, and do not: whether they ended
    /// otherwise nobody knows.
    pub cancelled: Vec<Uuid>,
}

impl App {
    /// Ends recovery mode: this identity database is the one that counts.
    /// Refused while workers of another copy are at work. Answers `None` where
    /// there is nothing to end: then nothing is changed. With `mark_bucket` the
    /// bucket of the configuration is this control plane's from now on.
    pub async fn release(&self, reason: &str, mark_bucket: bool) -> Result<Option<Released>> {
        let reason = console_reason(reason)?;
        let server = self.server.clone();
        let failed =
            |error: yuantus_postgres::Error| Error::precondition("SERVER_UNUSABLE", chain(&error));
        let standing = recovery::standing(&self.db).await?;
        let server = server.of_plane(&standing.plane.to_string());
        let newest = server.newest_claim().await.map_err(failed)?;
        let holder = server.recorded_holder().await.map_err(failed)?;
        let apart = standing.recovery_since.is_some()
            || newest > standing.newest_epoch
            || holder.is_some_and(|holder| holder != standing.instance);
        if mark_bucket {
            self.mark_bucket(standing.plane, reason).await?;
        }
        if !apart {
            return Ok(None);
        }
        let mut session = server.hold(&standing.instance).await.map_err(failed)?;
        if session.others().await.map_err(failed)? > 0 {
            let message = "workers of another copy of this identity database are at work: stop \
                           them first, or give this copy a plane of its own with `yuantus db fork`";
            return Err(Error::precondition("PLANE_IN_USE", message));
        }
        crashpoint!("Recovery.release.before_holder");
        // Killed from here on, recovery mode goes on.
        server.set_holder(&standing.instance).await.map_err(failed)?;
        let txn = self.db.begin().await.during("begin")?;
        recovery::lock(&txn).await?;
        let parked = operation::unfinished(&txn).await?;
        let cancelled = cancel_restores(&txn, &parked).await?;
        recovery::release(&txn, newest).await?;
        let details = json!({ "reason": reason, "newest_claim": newest,
            "cancelled": cancelled, "recovery_reason": standing.recovery_reason });
        audit::record(&txn, "recovery.release", PLATFORM, "", "deployment".into(), details).await?;
        crashpoint!("Recovery.release.before_commit");
        txn.commit().await.during("commit release")?;
        crashpoint!("Recovery.release.after");
        self.notifier.ready();
        let resumed = parked.len() as u64 - cancelled.len() as u64;
        Ok(Some(Released { resumed, cancelled }))
    }

    /// Makes the bucket of the configuration this control plane's, unless it is
    /// another's.
    async fn mark_bucket(&self, plane: Uuid, reason: &str) -> Result<()> {
        let failed = |error| Error::precondition("BUCKET_UNUSABLE", chain(&error));
        self.store.ensure_bucket().await.map_err(failed)?;
        match bucket_mark::read(&self.store).await.map_err(failed)? {
            Some(other) if other != plane => {
                let bucket = self.store.bucket();
                let message = format!("bucket `{bucket}` is that of control plane {other}");
                return Err(Error::precondition("BUCKET_IN_USE", message));
            }
            _ => bucket_mark::write(&self.store, plane).await.map_err(failed)?,
        }
        let txn = self.db.begin().await.during("begin")?;
        recovery::record_bucket(&txn).await?;
        let details = json!({ "reason": reason, "bucket": self.store.bucket() });
        audit::record(&txn, "bucket.mark", PLATFORM, "", "deployment".into(), details).await?;
        Ok(txn.commit().await.during("commit bucket")?)
    }

    /// Makes this copy of an identity database a plane of its own, to which no
    /// database and no backup of the original belongs: its orgs are as if their
    /// databases could not be made. Answers the plane.
    pub async fn fork(&self, reason: &str) -> Result<Uuid> {
        let reason = console_reason(reason)?;
        let standing = recovery::standing(&self.db).await?;
        let server = self.server.clone().of_plane(&standing.plane.to_string());
        let holder = server.recorded_holder().await;
        let holder = holder.map_err(|e| Error::precondition("SERVER_UNUSABLE", chain(&e)))?;
        let held_by_another = holder.is_some_and(|holder| holder != standing.instance);
        if !held_by_another {
            let message = "this identity database holds the databases of its plane: it is no copy";
            return Err(Error::precondition("NOT_A_COPY", message));
        }
        let txn = self.db.begin().await.during("begin")?;
        let plane = recovery::fork(&txn).await?;
        let details = json!({ "reason": reason, "former": standing.plane, "plane": plane });
        audit::record(&txn, "plane.fork", PLATFORM, "", "deployment".into(), details).await?;
        txn.commit().await.during("commit fork")?;
        Ok(plane)
    }
}

/// Ends restores that nobody is at: whether they were done before is not known.
async fn cancel_restores(txn: &impl ConnectionTrait, parked: &[Operation]) -> Result<Vec<Uuid>> {
    let why = "recovery mode ended: whether this restore was done before is not known";
    let mut cancelled = Vec::new();
    for restore in parked.iter().filter(|o| o.kind == OperationType::RestoreDatabase.as_str()) {
        if !operation::cancel_as_it_is(txn, restore.id, why).await? {
            continue;
        }
        if sets_up_org(restore)? {
            let key = OrgKey::parse(&restore.tenant_id, &restore.org_id)?;
            for_org(&key).fail_provisioning(txn, why).await?;
        }
        cancelled.push(restore.id);
    }
    Ok(cancelled)
}
