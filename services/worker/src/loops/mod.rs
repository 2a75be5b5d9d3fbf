//! What a worker does besides operations. One worker at a time leads them,
//! by an advisory lock on the identity database.

mod audit;
mod clock;
mod leader;
mod listed_orphans;
mod orphans;
mod sessions;
mod spares;
mod templates;
mod tombstones;

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use yuantus_operations::StepError;

pub use leader::LEAD;

use crate::Deps;

/// How often spare databases are counted without being told.
const SPARES: Duration = Duration::from_secs(2);
/// How often leftovers are looked for.
const LEFTOVERS: Duration = Duration::from_secs(30);

/// Starts the loops, which work while `gate` says true; they end when `stop` is
/// cancelled.
pub(crate) fn start_loops(
    loops: &mut JoinSet<()>,
    deps: &Arc<Deps>,
    gate: watch::Receiver<bool>,
    stop: &CancellationToken,
) {
    let (deps, stop) = (deps.clone(), stop.clone());
    loops.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = run_loops(&deps, gate) => {}
        }
    });
}

async fn run_loops(deps: &Deps, mut gate: watch::Receiver<bool>) {
    while gate.wait_for(|open| *open).await.is_ok() {
        match leader::lead(deps).await {
            Ok(Some(mut leader)) => {
                tracing::info!("this worker keeps the spare databases");
                tokio::select! {
                    () = keep_spares(deps) => {}
                    () = clean_up(deps) => {}
                    () = seal_audit(deps) => {}
                    () = prune_audit(deps) => {}
                    () = leader.deposed() => tracing::info!("no longer keeping spare databases"),
                    _ = gate.wait_for(|open| !*open) => {}
                }
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "cannot lead the loops now"),
        }
        tokio::time::sleep(SPARES).await;
    }
}

async fn keep_spares(deps: &Deps) {
    loop {
        deps.spares.look();
        report("spare databases", spares::fill(deps).await);
        tokio::select! {
            () = deps.spares.wanted(deps.limits.spares) => {}
            () = tokio::time::sleep(SPARES) => {}
        }
    }
}

async fn clean_up(deps: &Deps) {
    let mut guard = clock::Guard::default();
    loop {
        // What follows deletes by age, and compares with the time found here.
        report("clock", guard.look(deps).await);
        report("tombstones", tombstones::drop_expired(deps).await);
        report("sessions", sessions::forget_ended(deps).await);
        report("orphans", orphans::drop_orphans(deps).await);
        report("listed orphans", listed_orphans::remove_due(deps).await);
        tokio::time::sleep(LEFTOVERS).await;
    }
}

async fn seal_audit(deps: &Deps) {
    loop {
        report("audit checkpoints", audit::seal_all(deps).await);
        tokio::time::sleep(deps.audit.checkpoint_interval).await;
    }
}

async fn prune_audit(deps: &Deps) {
    let Some(interval) = deps.audit.prune_interval else { return std::future::pending().await };
    loop {
        report("audit retention", audit::prune_all(deps).await);
        tokio::time::sleep(interval).await;
    }
}

fn report(what: &str, done: Result<(), StepError>) {
    if let Err(error) = done {
        tracing::warn!(%error, what, "a loop could not do its work and will try again");
    }
}
