//! Metrics, where the configuration asks for them.

use std::{net::SocketAddr, sync::Arc};

use metrics::{describe_gauge, gauge};
use sea_orm::DatabaseConnection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use yuantus_telemetry::{Sample, install_metrics, run_metrics};

use crate::failure::Failure;

const CONNECTIONS: &str = "yuantus_identity_connections";

/// Shows metrics until told to stop.
pub(crate) type Showing = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begins to count, where `address` says who will read it. What it answers is
/// to be run.
pub(crate) async fn open(
    address: Option<SocketAddr>,
    db: &DatabaseConnection,
    shutdown: CancellationToken,
) -> Result<Option<Showing>, Failure> {
    let Some(address) = address else {
        return Ok(None);
    };
    let failed = |error| Failure::local(format!("listen on {address} for metrics"), error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr()?;
    let handle = install_metrics().map_err(|error| Failure::local("begin to count", error))?;
    yuantus_gateway::metrics::describe();
    yuantus_operations::metrics::describe();
    describe_gauge!(CONNECTIONS, "Connections to the identity database, by state.");
    tracing::info!(metrics = %address, "showing metrics");
    let samples = vec![connections(db), queue(db)];
    Ok(Some(Box::pin(run_metrics(listener, handle, samples, shutdown))))
}

fn connections(db: &DatabaseConnection) -> Sample {
    let pool = db.get_postgres_connection_pool().clone();
    Arc::new(move || {
        let idle = pool.num_idle();
        let busy = (pool.size() as usize).saturating_sub(idle);
        Box::pin(async move {
            gauge!(CONNECTIONS, "state" => "idle").set(idle as f64);
            gauge!(CONNECTIONS, "state" => "busy").set(busy as f64);
        })
    })
}

fn queue(db: &DatabaseConnection) -> Sample {
    let pool = db.get_postgres_connection_pool().clone();
    Arc::new(move || {
        let pool = pool.clone();
        Box::pin(async move { yuantus_operations::metrics::sample_queue(&pool).await })
    })
}
