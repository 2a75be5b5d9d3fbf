//! The worker: the tasks behind the operations (`tasks/<operation>/<step>.rs`)
//! and the loops that keep templates, spare databases and the server tidy.
//!
//! Invariants: what is dropped was made by this control plane, as its marker
//! proves; a step converges from whatever an earlier attempt left behind.

mod deps;
mod failure;
mod loops;
mod names;
mod progress;
mod spares;
pub mod tasks;

use std::sync::Arc;

use sea_orm::DatabaseConnection;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use yuantus_operations::{Notifier, Settings, run_worker};

pub use deps::{Audit, Deps, Limits};
pub use loops::LEAD;
pub use spares::Spares;

/// Runs operations and loops until `shutdown`; with `once`, until there is
/// nothing left to do.
pub async fn run(
    db: DatabaseConnection,
    deps: Arc<Deps>,
    notifier: Notifier,
    settings: Settings,
    once: bool,
    shutdown: CancellationToken,
) -> yuantus_operations::Result<()> {
    let stop = CancellationToken::new();
    let mut loops = JoinSet::new();
    if !once {
        loops::start_loops(&mut loops, &deps, &stop);
    }
    let worked =
        run_worker(db, tasks::registry(), deps.clone(), notifier, settings, once, shutdown).await;
    stop.cancel();
    while loops.join_next().await.is_some() {}
    worked
}
