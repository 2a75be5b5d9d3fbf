//! What a person at the server's console decides where the identity database
//! and what it manages differ.

use sea_orm::TransactionTrait;
use serde_json::json;
use uuid::Uuid;
use yuantus_domain::{Error, OperationType, OrgKey, Result, id::PLATFORM};
use yuantus_identity::{
    Context, for_org,
    query::{operation, recovery},
};

use yuantus_operations::crashpoint;

use super::{App, audit, operation::sets_up_org, owner::console_reason};

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
    /// Refused while workers of another copy are at work.
    pub async fn release(&self, reason: &str, mark_bucket: bool) -> Result<Released> {
        let reason = console_reason(reason)?;
        let standing = recovery::standing(&self.db).await?;
        let server = self.server.clone().of_plane(&standing.plane.to_string());
        let failed = Error::internal;
        let mut session = server.hold(&standing.instance).await.map_err(failed)?;
        if session.others().await.map_err(failed)? > 0 {
            let message = "workers of another copy of this identity database are at work: stop them first, or give this copy a plane of its own with `yuantus db fork`";
            return Err(Error::precondition("PLANE_IN_USE", message));
        }
        let newest = server.newest_claim().await.map_err(failed)?;
        let txn = self.db.begin().await.during("begin")?;
        let parked = operation::unfinished(&txn).await?;
        let mut cancelled = Vec::new();
        for restore in parked.iter().filter(|o| o.kind == OperationType::RestoreDatabase.as_str()) {
            let key = OrgKey::parse(&restore.tenant_id, &restore.org_id)?;
            let why = "recovery mode ended: whether this restore was done before is not known";
            operation::cancel_as_it_is(&txn, restore.id, why).await?;
            if sets_up_org(restore)? {
                for_org(&key).fail_provisioning(&txn, why).await?;
            }
            cancelled.push(restore.id);
        }
        recovery::release(&txn, newest).await?;
        if mark_bucket {
            recovery::forget_bucket(&txn).await?;
        }
        let details = json!({ "reason": reason, "newest_claim": newest,
            "cancelled": cancelled, "recovery_reason": standing.recovery_reason });
        audit::record(&txn, "recovery.release", PLATFORM, "", "deployment".into(), details).await?;
        // The server last: until the commit nobody acts on what it says.
        crashpoint!("Recovery.release.before_holder");
        server.set_holder(&standing.instance).await.map_err(failed)?;
        crashpoint!("Recovery.release.before_commit");
        txn.commit().await.during("commit release")?;
        crashpoint!("Recovery.release.after");
        self.notifier.ready();
        let resumed = parked.len() as u64 - cancelled.len() as u64;
        Ok(Released { resumed, cancelled })
    }

    /// Makes this copy of an identity database a plane of its own, to which no
    /// database of the original belongs: its orgs are as if they had failed, and
    /// backups can be restored into them. Answers the plane.
    pub async fn fork(&self, reason: &str) -> Result<Uuid> {
        let reason = console_reason(reason)?;
        let standing = recovery::standing(&self.db).await?;
        let server = self.server.clone().of_plane(&standing.plane.to_string());
        let holder = server.recorded_holder().await.map_err(Error::internal)?;
        if holder.as_ref() == Some(&standing.instance) {
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
