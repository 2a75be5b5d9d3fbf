//! What a step knows about the operation it is part of, and the only way it
//! may write to the identity database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use sea_orm::{DatabaseConnection, DatabaseTransaction, TransactionTrait};
use serde::de::DeserializeOwned;
use uuid::Uuid;
use yuantus_domain::{OperationType, OrgKey};
use yuantus_identity::{Context, entity::operation::Model};

use crate::{
    Notifier, StepError,
    lease::{Interrupt, Lease},
    record::Claim,
};

/// One claimed operation.
#[derive(Debug)]
pub struct Run {
    pub(crate) operation: Model,
    pub(crate) kind: OperationType,
    pub(crate) key: OrgKey,
    pub(crate) lease: Arc<Lease>,
    pub(crate) db: DatabaseConnection,
    pub(crate) notifier: Notifier,
    pub(crate) reported: AtomicI64,
    pub(crate) begun: Instant,
    pub(crate) nonce: Uuid,
}

impl Run {
    /// The operation's id.
    pub fn id(&self) -> Uuid {
        self.operation.id
    }

    /// Which claim this is; grows with every claim of the operation.
    pub fn epoch(&self) -> i64 {
        self.operation.epoch
    }

    /// Tells this claim from every other, of whatever history of the identity
    /// database: random.
    pub fn nonce(&self) -> Uuid {
        self.nonce
    }

    /// The org whose database it works on.
    pub fn key(&self) -> &OrgKey {
        &self.key
    }

    /// The lane, as stored.
    pub fn lane(&self) -> &str {
        &self.operation.lane
    }

    /// Who asked for the operation.
    pub fn actor(&self) -> &str {
        &self.operation.actor
    }

    /// The request in which it was asked for.
    pub fn request_id(&self) -> &str {
        &self.operation.request_id
    }

    /// How many of its steps are recorded as done.
    pub fn steps_done(&self) -> usize {
        usize::try_from(self.operation.step).unwrap_or(0)
    }

    /// Why the operation failed, once that is decided.
    pub fn error_reason(&self) -> &str {
        &self.operation.error_reason
    }

    /// The identity database, for reading.
    pub fn db(&self) -> &DatabaseConnection {
        &self.db
    }

    /// What the operation was asked to do.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, StepError> {
        serde_json::from_value(self.operation.input.clone())
            .map_err(|error| StepError::fail("INTERNAL", error))
    }

    /// Refuses once the lease may have ended. Called before anything that
    /// writes outside the identity database.
    pub fn check(&self) -> Result<(), StepError> {
        if self.lease.is_live() { Ok(()) } else { Err(StepError::Lost) }
    }

    /// Asks the identity database whether the claim still holds. Called once
    /// the operation's lane on the tenant server is taken: whoever claims the
    /// operation after this answer ends the session that holds the lane.
    pub async fn confirm(&self) -> Result<(), StepError> {
        self.check()?;
        let held = self.claim().is_held(&self.db).await.map_err(engine_error)?;
        if held { Ok(()) } else { Err(StepError::Lost) }
    }

    /// The same check for work that goes on elsewhere, in a thread of its own.
    pub fn fence(&self) -> Fence {
        Fence(self.lease.clone())
    }

    /// Begins a transaction that holds the operation's row and fails if the
    /// lease is lost. To be handed back in [`crate::Outcome::AdvanceIn`].
    pub async fn begin(&self) -> Result<DatabaseTransaction, StepError> {
        let txn = self.db.begin().await.during("begin")?;
        let held = self.claim().lock(&txn).await.map_err(engine_error)?;
        if held { Ok(txn) } else { Err(StepError::Lost) }
    }

    /// Commits writes from [`Run::begin`] before the step has come to its end.
    pub async fn commit(&self, txn: DatabaseTransaction) -> Result<(), StepError> {
        Ok(txn.commit().await.during("commit")?)
    }

    /// Reports how far the step is; small changes are not written. What goes
    /// wrong here is not worth failing for.
    pub async fn progress(&self, done: u64, total: u64, unit: &str) {
        let (done, total) = (clamp(done), clamp(total));
        let least = if unit == "bytes" { 8 << 20 } else { 1 };
        if done != total && (done - self.reported.load(Ordering::Relaxed)).abs() < least {
            return;
        }
        self.reported.store(done, Ordering::Relaxed);
        if self.claim().progress(&self.db, done, total, unit).await.is_ok() {
            self.notifier.changed(self.id());
        }
    }

    /// Records what a person should know though the step went well. What is
    /// recorded already is not recorded again, so a step may do so twice.
    pub async fn warn(&self, warnings: &[String]) -> Result<(), StepError> {
        if warnings.is_empty() {
            return Ok(());
        }
        let held = self.claim().warn(&self.db, serde_json::json!(warnings)).await;
        if held.map_err(engine_error)? { Ok(()) } else { Err(StepError::Lost) }
    }

    pub(crate) fn claim(&self) -> Claim {
        Claim { id: self.operation.id, epoch: self.operation.epoch }
    }

    pub(crate) async fn interrupted(&self) -> Interrupt {
        self.lease.interrupted().await
    }
}

/// Says whether an operation's lease still holds, without asking anybody.
#[derive(Clone, Debug)]
pub struct Fence(Arc<Lease>);

impl Fence {
    /// False once the lease may have ended, or was interrupted.
    pub fn is_live(&self) -> bool {
        self.0.is_live() && self.0.present_interrupt().is_none()
    }
}

fn clamp(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(crate) fn engine_error(error: crate::Error) -> StepError {
    match error {
        crate::Error::Identity(error) => error.into(),
        other => StepError::fail("INTERNAL", other),
    }
}
