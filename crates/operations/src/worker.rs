//! The worker: claims operations and runs them until it is told to stop,
//! then gives back what it holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sea_orm::DatabaseConnection;
use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;
use yuantus_domain::{OperationType, OrgKey};
use yuantus_identity::{entity::operation::Model, query::recovery};

use crate::{
    Notifier, Registry, Result, Run,
    backoff::Backoff,
    claim::claim,
    lease::{Interrupt, Leases},
    metrics::Running,
    node::lock_node,
    notify::{CANCEL, READY},
    reaper,
    runner::run_operation,
};

/// Between two looks for what is no longer kept. Soon after a start the clock is
/// not believed yet, and nothing is deleted.
const AGE_OUT: Duration = Duration::from_secs(10);

/// How a worker works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name, the same after a restart.
    pub node_id: String,
    /// How many operations it runs at a time.
    pub concurrency: usize,
    /// How often it looks for work without being told.
    pub poll_interval: Duration,
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// How often it says that it is alive.
    pub heartbeat: Duration,
    /// How often it looks for leases that have ended.
    pub reaper: Duration,
    /// How long ended operations are kept.
    pub retention: Duration,
    /// How long it waits between attempts.
    pub backoff: Backoff,
    /// How long running steps may go on once it is told to stop.
    pub drain: Duration,
    /// Whether it ends once there is nothing left to claim.
    pub once: bool,
}

struct Worker<D: 'static> {
    db: DatabaseConnection,
    pool: PgPool,
    registry: Registry<D>,
    deps: Arc<D>,
    settings: Settings,
    leases: Leases,
    notifier: Notifier,
    wake: Notify,
    beat: Notify,
    slots: Arc<Semaphore>,
    /// Whether operations may be claimed at all.
    gate: watch::Receiver<bool>,
    /// The newest epoch that this worker claimed with.
    newest_epoch: AtomicI64,
}

/// Runs until `shutdown`, or until there is nothing left to claim. While `gate` says false, nothing is claimed.
pub async fn run_worker<D: Send + Sync + 'static>(
    db: DatabaseConnection,
    registry: Registry<D>,
    deps: Arc<D>,
    notifier: Notifier,
    settings: Settings,
    gate: watch::Receiver<bool>,
    shutdown: CancellationToken,
) -> Result<()> {
    let pool = db.get_postgres_connection_pool().clone();
    let _node = lock_node(&pool, &settings.node_id).await?;
    let reclaimed = reaper::reap_node(&pool, &settings.node_id).await?;
    if !reclaimed.is_empty() {
        tracing::info!(count = reclaimed.len(), "took back operations held before the restart");
    }
    let slots = Arc::new(Semaphore::new(settings.concurrency));
    let worker = Arc::new(Worker {
        db,
        pool,
        registry,
        deps,
        leases: Leases::default(),
        notifier,
        wake: Notify::new(),
        beat: Notify::new(),
        slots,
        gate,
        newest_epoch: AtomicI64::new(0),
        settings,
    });
    let stop = CancellationToken::new();
    let mut loops = JoinSet::new();
    for work in [Loop::Listen, Loop::Beat, Loop::Reap, Loop::AgeOut] {
        loops.spawn(worker.clone().run_loop(work, stop.clone()));
    }
    // A task of its own, so that what wakes it need not wake the main thread.
    let mut work = JoinSet::new();
    work.spawn(worker.clone().work(shutdown));
    if let Some(Err(error)) = work.join_next().await
        && let Ok(panicked) = error.try_into_panic()
    {
        std::panic::resume_unwind(panicked);
    }
    stop.cancel();
    while loops.join_next().await.is_some() {}
    Ok(())
}

#[derive(Clone, Copy)]
enum Loop {
    Listen,
    Beat,
    Reap,
    AgeOut,
}

impl<D: Send + Sync + 'static> Worker<D> {
    async fn run_loop(self: Arc<Self>, work: Loop, stop: CancellationToken) {
        let forever = async {
            match work {
                Loop::Listen => self.listen().await,
                Loop::Beat => self.beat().await,
                Loop::Reap => self.reap().await,
                Loop::AgeOut => self.age_out().await,
            }
        };
        tokio::select! {
            () = forever => {}
            () = stop.cancelled() => {}
        }
    }

    async fn work(self: Arc<Self>, shutdown: CancellationToken) {
        let mut runs = JoinSet::new();
        self.claim_until(&mut runs, &shutdown).await;
        self.drain(&mut runs).await;
    }

    async fn claim_until(self: &Arc<Self>, runs: &mut JoinSet<()>, shutdown: &CancellationToken) {
        loop {
            let claimed = tokio::select! {
                claimed = self.claim() => claimed,
                () = shutdown.cancelled() => return,
            };
            let idle = claimed.is_empty();
            for (operation, permit, until) in claimed {
                runs.spawn(self.clone().run(operation, permit, until));
            }
            if self.settings.once && idle && runs.is_empty() {
                return;
            }
            // Fewer than there were slots for was all there is: what comes
            // later, or was behind these in its lane, wakes us.
            tokio::select! {
                () = self.wake.notified() => {}
                Some(_) = runs.join_next(), if !runs.is_empty() => {}
                () = tokio::time::sleep(self.settings.poll_interval) => {}
                () = shutdown.cancelled() => return,
            }
            while runs.try_join_next().is_some() {}
        }
    }

    /// Claims as many operations as there are free slots.
    async fn claim(&self) -> Vec<(Model, OwnedSemaphorePermit, std::time::Instant)> {
        let free = self.slots.available_permits();
        if free == 0 || !self.may_work() {
            return Vec::new();
        }
        let until = std::time::Instant::now() + self.settings.lease;
        let claimed = claim(
            &self.db,
            &self.settings.node_id,
            &self.registry.kinds(),
            free,
            self.settings.lease,
        )
        .await;
        match claimed {
            Ok(claimed) if self.is_behind(&claimed).await => Vec::new(),
            Ok(claimed) => claimed
                .into_iter()
                .filter_map(|op| Some((op, self.slots.clone().try_acquire_owned().ok()?, until)))
                .collect(),
            Err(error) => {
                tracing::warn!(error = %crate::step::chain(&error), "could not claim operations");
                Vec::new()
            }
        }
    }

    /// Whether who watches over this worker was last content, and still watches.
    fn may_work(&self) -> bool {
        self.gate.has_changed().is_ok() && *self.gate.borrow()
    }

    /// Whether epochs have gone back since this worker claimed last: the
    /// identity database was rolled back underneath. What was claimed is left
    /// to its lease.
    async fn is_behind(&self, claimed: &[Model]) -> bool {
        let epochs = || claimed.iter().map(|operation| operation.epoch);
        let (Some(oldest), Some(newest)) = (epochs().min(), epochs().max()) else { return false };
        if oldest > self.newest_epoch.fetch_max(newest, Ordering::Relaxed) {
            return false;
        }
        let reason = format!("epoch {oldest} was claimed again: the identity database went back");
        tracing::error!(reason, "recovery mode: nothing is claimed");
        match recovery::enter(&self.db, &reason).await {
            // Said once: after a release what is claimed now is the newest.
            Ok(_) => self.newest_epoch.store(newest, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, "recovery mode could not be entered"),
        }
        true
    }

    async fn run(
        self: Arc<Self>,
        operation: Model,
        permit: OwnedSemaphorePermit,
        until: std::time::Instant,
    ) {
        let (id, epoch) = (operation.id, operation.epoch);
        // Whatever the log leaves out, what it shows says which operation it is of.
        let span = tracing::error_span!("operation", operation_id = %id, kind = operation.kind,
            tenant_id = operation.tenant_id, org_id = operation.org_id,
            request_id = operation.request_id);
        let lease = self.leases.hold(id, epoch, until);
        let kind = OperationType::parse(&operation.kind);
        let key = OrgKey::parse(&operation.tenant_id, &operation.org_id);
        if let (Some(kind), Ok(key)) = (kind, key)
            && let Some(task) = self.registry.task(kind)
        {
            let _running = Running::new(kind);
            let run = Run {
                begun: std::time::Instant::now(),
                nonce: Uuid::new_v4(),
                operation,
                kind,
                key,
                lease,
                db: self.db.clone(),
                notifier: self.notifier.clone(),
                reported: Default::default(),
            };
            run_operation(task, &*self.deps, run, self.settings.backoff).instrument(span).await;
        } else {
            tracing::error!(%id, kind = operation.kind, "this worker cannot run the operation");
        }
        self.leases.forget(id, epoch);
        drop(permit);
    }

    /// Lets running steps end for a while, then interrupts them: they are
    /// given back and run again elsewhere.
    async fn drain(&self, runs: &mut JoinSet<()>) {
        let end = Instant::now() + self.settings.drain;
        let ended = async { while runs.join_next().await.is_some() {} };
        if tokio::time::timeout_at(end, ended).await.is_err() {
            tracing::info!(count = runs.len(), "giving back running operations");
            self.leases.interrupt_all(Interrupt::Shutdown);
            while runs.join_next().await.is_some() {}
        }
    }

    async fn listen(&self) {
        loop {
            if let Err(error) = self.listen_once().await {
                tracing::debug!(%error, "not listening for work; polling");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn listen_once(&self) -> std::result::Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen_all([READY, CANCEL]).await?;
        self.wake.notify_one();
        loop {
            if listener.recv().await?.channel() == CANCEL {
                self.beat.notify_one();
            }
            self.wake.notify_one();
        }
    }

    async fn beat(&self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.settings.heartbeat) => {}
                () = self.beat.notified() => {}
            }
            // A connection that hangs must not keep the next heartbeat, or the
            // sight of a lease that has run out, from happening.
            let beat = self.leases.heartbeat(&self.pool, self.settings.lease);
            match tokio::time::timeout(self.settings.heartbeat, beat).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(error = %crate::step::chain(&error), "heartbeat failed");
                }
                Err(_) => tracing::warn!("heartbeat failed: no answer in time"),
            }
        }
    }

    async fn reap(&self) {
        let mut late = reaper::TooLate::default();
        loop {
            if self.may_work()
                && let Err(error) = self.reap_once(&mut late).await
            {
                tracing::debug!(error = %crate::step::chain(&error), "could not reap");
            }
            tokio::time::sleep(self.settings.reaper).await;
        }
    }

    async fn reap_once(&self, late: &mut reaper::TooLate) -> Result<()> {
        let expired = reaper::reap_expired(&self.pool).await?;
        self.freed(expired, "took operations from lost workers");
        let late = late.reap(&self.pool, self.settings.lease).await?;
        let why = "took operations whose leases were written by a clock that was ahead";
        self.freed(late, why);
        let mended = reaper::mend_delays(&self.pool).await?;
        if mended > 0 {
            tracing::warn!(
                count = mended,
                "operations waited for a time that was written by a \
                clock that was ahead"
            );
            self.wake.notify_one();
        }
        Ok(())
    }

    fn freed(&self, operations: Vec<uuid::Uuid>, why: &'static str) {
        if !operations.is_empty() {
            tracing::warn!(count = operations.len(), "{why}");
            operations.into_iter().for_each(|id| self.notifier.changed(id));
            self.wake.notify_one();
        }
    }

    async fn age_out(&self) {
        loop {
            if self.may_work()
                && let Err(error) = reaper::age_out(&self.pool, self.settings.retention).await
            {
                tracing::debug!(error = %crate::step::chain(&error), "could not age out");
            }
            tokio::time::sleep(AGE_OUT).await;
        }
    }
}
