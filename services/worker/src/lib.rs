//! The worker: the tasks behind the operations (`tasks/<operation>/<step>.rs`)
//! and the loops that keep templates, spare databases and the server tidy.
//!
//! Invariants: what is dropped was made by this control plane, as its marker
//! proves; a step converges from whatever an earlier attempt left behind.

mod deps;
mod failure;
mod guard;
mod loops;
mod names;
mod progress;
mod space;
mod spares;
pub mod tasks;

use std::sync::Arc;

use sea_orm::DatabaseConnection;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use yuantus_operations::{Notifier, Settings, run_worker};

pub use deps::{Audit, Deps, Limits};
pub use loops::LEAD;
pub use space::Space;
pub use spares::Spares;

/// Runs operations and loops until `shutdown`; with `settings.once`, until there
/// is nothing left to do.
pub async fn run(
    db: DatabaseConnection,
    deps: Arc<Deps>,
    notifier: Notifier,
    settings: Settings,
    shutdown: CancellationToken,
) -> yuantus_operations::Result<()> {
    let (stop, once) = (CancellationToken::new(), settings.once);
    let mut loops = JoinSet::new();
    let (open, mut gate) = watch::channel(false);
    let (guarded, stopped) = (deps.clone(), stop.clone());
    loops.spawn(async move {
        stopped.run_until_cancelled(guard::run(&guarded, open)).await;
    });
    if !once {
        loops::start_loops(&mut loops, &deps, gate.clone(), &stop);
    }
    // What is asked to work once waits until it may; others claim when they may.
    let opened = async { gate.wait_for(|open| *open || !once).await.is_ok() };
    let worked = match shutdown.run_until_cancelled(opened).await {
        Some(true) => {
            let tasks = tasks::registry();
            run_worker(db, tasks, deps.clone(), notifier, settings, gate, shutdown).await
        }
        _ => Ok(()),
    };
    stop.cancel();
    while loops.join_next().await.is_some() {}
    worked
}
