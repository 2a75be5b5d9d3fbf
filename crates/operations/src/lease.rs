//! The leases this worker holds. The database's clock decides when a lease
//! ends. A worker that was frozen mostly sees by its own clock, before any
//! query, that it may have ended; since that clock stands still while a
//! machine is suspended, `Run::confirm` asks the database.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{PgPool, Row};
use tokio::sync::watch;
use uuid::Uuid;
use yuantus_identity::Context;

use crate::Result;

/// Why a step is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Somebody else has the operation.
    Lost,
    /// The client asked for it.
    Cancel,
    /// The worker is stopping.
    Shutdown,
}

/// One held lease.
#[derive(Debug)]
pub(crate) struct Lease {
    until: Mutex<Instant>,
    interrupt: watch::Sender<Option<Interrupt>>,
}

impl Lease {
    fn new(until: Instant) -> Self {
        Self { until: Mutex::new(until), interrupt: watch::Sender::new(None) }
    }

    pub(crate) fn is_live(&self) -> bool {
        Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first interrupt stays, but for losing the lease, which beats all.
    pub(crate) fn interrupt(&self, why: Interrupt) {
        self.interrupt.send_if_modified(|present| {
            let replace = present.is_none() || (why == Interrupt::Lost && *present != Some(why));
            if replace {
                *present = Some(why);
            }
            replace
        });
    }

    /// Forgets that the client asked to stop: from here on it is obeyed.
    pub(crate) fn obey_cancel(&self) {
        self.interrupt.send_if_modified(|present| {
            let cancelled = *present == Some(Interrupt::Cancel);
            if cancelled {
                *present = None;
            }
            cancelled
        });
    }

    pub(crate) fn present_interrupt(&self) -> Option<Interrupt> {
        *self.interrupt.borrow()
    }

    pub(crate) async fn interrupted(&self) -> Interrupt {
        let mut seen = self.interrupt.subscribe();
        match seen.wait_for(Option::is_some).await.map(|why| *why) {
            Ok(Some(why)) => why,
            _ => std::future::pending().await,
        }
    }

    fn extend(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// All leases of this worker, by operation and epoch.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<HashMap<(Uuid, i64), Arc<Lease>>>,
}

const HEARTBEAT: &str = "
UPDATE operations o SET lease_expires_at = now() + make_interval(secs => $3)
FROM unnest($1::uuid[], $2::bigint[]) AS held (id, epoch)
WHERE o.id = held.id AND o.epoch = held.epoch AND o.state = 'RUNNING'
RETURNING o.id, o.epoch, o.cancel_requested AND NOT o.unwinding";

impl Leases {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Uuid, i64), Arc<Lease>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold(&self, id: Uuid, epoch: i64, until: Instant) -> Arc<Lease> {
        let lease = Arc::new(Lease::new(until));
        self.lock().insert((id, epoch), lease.clone());
        lease
    }

    pub(crate) fn forget(&self, id: Uuid, epoch: i64) {
        self.lock().remove(&(id, epoch));
    }

    pub(crate) fn interrupt_all(&self, why: Interrupt) {
        for lease in self.lock().values() {
            lease.interrupt(why);
        }
    }

    /// Extends every lease held; interrupts what was lost or is to be cancelled.
    pub(crate) async fn heartbeat(&self, pool: &PgPool, lease: Duration) -> Result<()> {
        let held: Vec<((Uuid, i64), Arc<Lease>)> =
            self.lock().iter().map(|(k, v)| (*k, v.clone())).collect();
        for (_, held) in held.iter().filter(|(_, held)| !held.is_live()) {
            held.interrupt(Interrupt::Lost);
        }
        if held.is_empty() {
            return Ok(());
        }
        let (ids, epochs): (Vec<Uuid>, Vec<i64>) = held.iter().map(|(key, _)| *key).unzip();
        let until = Instant::now() + lease;
        let rows = sqlx::query(HEARTBEAT)
            .bind(ids)
            .bind(epochs)
            .bind(lease.as_secs_f64())
            .fetch_all(pool)
            .await
            .during("heartbeat")?;
        let kept: HashMap<(Uuid, i64), bool> =
            rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
        for (key, held) in held {
            match kept.get(&key) {
                None => held.interrupt(Interrupt::Lost),
                Some(cancel) => {
                    held.extend(until);
                    if *cancel {
                        held.interrupt(Interrupt::Cancel);
                    }
                }
            }
        }
        Ok(())
    }
}
