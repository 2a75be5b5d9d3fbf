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

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use yuantus_operations::StepError;

pub use leader::LEAD;
pub(crate) use templates::is_stale;

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
    let failures = Failures::default();
    while gate.wait_for(|open| *open).await.is_ok() {
        match leader::lead(deps).await {
            Ok(Some(mut leader)) => {
                tracing::info!("this worker keeps the spare databases");
                tokio::select! {
                    () = keep_spares(deps, &failures) => {}
                    () = clean_up(deps, &failures) => {}
                    () = seal_audit(deps, &failures) => {}
                    () = prune_audit(deps, &failures) => {}
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

async fn keep_spares(deps: &Deps, failures: &Failures) {
    loop {
        deps.spares.look();
        failures.report("spare databases", spares::fill(deps).await);
        tokio::select! {
            () = deps.spares.wanted(deps.limits.spares) => {}
            () = tokio::time::sleep(SPARES) => {}
        }
    }
}

async fn clean_up(deps: &Deps, failures: &Failures) {
    let mut guard = clock::Guard::default();
    loop {
        // What follows deletes by age, and compares with the time found here.
        failures.report("clock", guard.look(deps).await);
        failures.report("tombstones", tombstones::drop_expired(deps).await);
        failures.report("sessions", sessions::forget_ended(deps).await);
        failures.report("orphans", orphans::drop_orphans(deps).await);
        failures.report("listed orphans", listed_orphans::remove_due(deps).await);
        tokio::time::sleep(LEFTOVERS).await;
    }
}

async fn seal_audit(deps: &Deps, failures: &Failures) {
    loop {
        failures.report("audit checkpoints", audit::seal_all(deps).await);
        tokio::time::sleep(deps.audit.checkpoint_interval).await;
    }
}

async fn prune_audit(deps: &Deps, failures: &Failures) {
    let Some(interval) = deps.audit.prune_interval else { return std::future::pending().await };
    loop {
        failures.report("audit retention", audit::prune_all(deps).await);
        tokio::time::sleep(interval).await;
    }
}

/// What the loops could not do when they last tried. A failure is said when it
/// begins and when it has another cause, not with every try.
#[derive(Default)]
struct Failures(Mutex<BTreeMap<&'static str, String>>);

impl Failures {
    fn report(&self, what: &'static str, done: Result<(), StepError>) {
        let mut said = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Err(error) = done else {
            if said.remove(what).is_some() {
                tracing::info!(what, "a loop can do its work again");
            }
            return;
        };
        // Sizes and times differ with every try; the cause does not.
        let text: String = error.to_string().chars().filter(|c| !c.is_ascii_digit()).collect();
        if said.get(what) == Some(&text) {
            tracing::debug!(%error, what, "a loop still cannot do its work");
        } else {
            tracing::warn!(%error, what, "a loop could not do its work and will try again");
            said.insert(what, text);
        }
    }
}
