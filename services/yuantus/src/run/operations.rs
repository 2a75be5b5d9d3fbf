//! The worker, put together from the configuration.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::OnceCell, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use yuantus_config::Config;
use yuantus_identity::{Database, query::deployment, schema};
use yuantus_operations::{Notifier, Settings, backoff::Backoff};
use yuantus_postgres::{SpaceSettings, Tools};
use yuantus_worker::{Deps, Limits, Space, Spares};

use super::{
    bucket,
    common::{Common, refused, retention},
    keys::until_proved,
    metrics,
};
use crate::failure::{Failure, chain};

/// Between two looks for an identity database that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs operations until `shutdown`; with `once`, until there is nothing left
/// to do. Shows `metrics` there, if anywhere.
pub(crate) async fn run_operations(
    config: &Config,
    common: Common,
    once: bool,
    metrics: Option<SocketAddr>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let identity = config.identity_url().map_err(refused)?;
    let connections = config.identity.max_connections;
    let db = yuantus_identity::connect(&identity, connections, "yuantus:worker")
        .map_err(|error| Failure::local("use identity.database_url", error))?;
    // Waiting for the database lets everything be started at once.
    let plane = loop {
        if let Some(plane) = found(identify(&db).await)? {
            break plane;
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    };
    if !until_proved(&db, &common.keys, None, &shutdown).await? {
        return Ok(());
    }
    let stop = CancellationToken::new();
    let pool = db.get_postgres_connection_pool().clone();
    let (notifier, sending) = Notifier::new(pool, stop.clone());
    let mut background = JoinSet::new();
    background.spawn(sending);
    if let Some(showing) = metrics::open(metrics, &db, stop.clone()).await? {
        background.spawn(showing);
    }
    bucket::check_at_start(&mut background, &db, &common.store, &shutdown).await?;
    let deps = Arc::new(Deps {
        db: db.clone(),
        server: common.server.of_plane(&plane.to_string()),
        tools: Tools::find(),
        store: common.store,
        sealer: common.keys.sealer,
        derived: common.keys.derived,
        bundle: common.bundle,
        plane,
        audit: yuantus_worker::Audit {
            signer: common.keys.signer,
            retention: retention(config),
            prune_interval: config.audit.prune_interval(),
            checkpoint_interval: config.audit.checkpoint_interval(),
        },
        limits: Limits {
            spares: config.tenants.spare_target as usize,
            tombstone_retention: Duration::from_secs(config.tenants.tombstone_retention_seconds),
        },
        space: space(config),
        spares: Spares::default(),
        bootstrapped: OnceCell::new(),
    });
    let settings = Settings { once, ..settings(config) };
    let worked = yuantus_worker::run(db, deps, notifier, settings, shutdown).await;
    stop.cancel();
    while background.join_next().await.is_some() {}
    worked.map_err(|error| Failure::local("run operations", error))
}

/// The plane of an identity database that this program can work on.
async fn identify(db: &Database) -> yuantus_identity::Result<Uuid> {
    schema::check(db).await?;
    deployment::plane(db).await
}

/// Nothing where the identity database is away but may come.
fn found(read: yuantus_identity::Result<Uuid>) -> Result<Option<Uuid>, Failure> {
    match read {
        Ok(plane) => Ok(Some(plane)),
        Err(error) if error.is_transient() => {
            tracing::warn!(error = %chain(&error), "waiting for the identity database");
            Ok(None)
        }
        Err(error) if error.is_of_the_schema() => {
            Err(Failure::local("use the identity database", error))
        }
        Err(error) => {
            let action = "read the identity database, which `yuantus db upgrade` prepares";
            Err(Failure::local(action, error))
        }
    }
}

fn space(config: &Config) -> Space {
    let tenants = &config.tenants;
    let capacity = Some(tenants.capacity_bytes).filter(|bytes| *bytes > 0);
    Space {
        settings: SpaceSettings { directory: tenants.data_directory.clone(), capacity },
        floor: tenants.min_free_bytes,
        per_dump_byte: tenants.restore_bytes_per_dump_byte,
    }
}

fn settings(config: &Config) -> Settings {
    let worker = &config.worker;
    Settings {
        node_id: worker.node_id.clone().unwrap_or_else(node_id),
        concurrency: worker.concurrency,
        poll_interval: worker.poll_interval(),
        lease: worker.lease(),
        heartbeat: worker.heartbeat(),
        reaper: worker.reaper(),
        retention: worker.retention(),
        backoff: Backoff { initial: worker.backoff_initial(), max: worker.backoff_max() },
        drain: config.server.drain(),
        once: false,
    }
}

/// A name no other worker has. One without a configured name takes nothing
/// back after a restart: its leases run out and others take over.
fn node_id() -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let random = Uuid::new_v4().simple().to_string();
    format!("{host}-{}", &random[..8])
}
