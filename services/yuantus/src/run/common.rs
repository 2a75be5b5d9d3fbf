//! What API and worker are both made of.

use std::{sync::Arc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use yuantus_audit::Retention;
use yuantus_config::Config;
use yuantus_identity::{Database, schema};
use yuantus_postgres::Server;
use yuantus_storage::{ObjectStore, Presigner, S3Settings};
use yuantus_tenant_schema::Bundle;

use super::keys::Keys;
use crate::failure::{Failure, chain};

/// How long the identity database is waited for before it is done without.
const FIRST_ANSWER: Duration = Duration::from_secs(2);

/// What API and worker are both made of. Nothing is connected yet.
pub(crate) struct Common {
    pub(crate) server: Server,
    pub(crate) store: ObjectStore,
    /// What is sealed, signed and derived with. Not proved yet.
    pub(crate) keys: Keys,
    pub(crate) bundle: Arc<Bundle>,
}

impl Common {
    /// Reads the bundle and takes the keys.
    pub(crate) fn new(config: &Config) -> Result<Self, Failure> {
        let admin = config.admin_url().map_err(refused)?;
        let bundle = match &config.tenants.bundle {
            Some(directory) => {
                Bundle::load(directory).map_err(|error| Failure::local("read the bundle", error))?
            }
            None => Bundle::builtin(),
        };
        Ok(Self {
            server: Server::new(&admin)
                .map_err(|error| Failure::local("use tenants.database_url_template", error))?,
            store: store(config),
            keys: Keys::new(&config.secrets)?,
            bundle: Arc::new(bundle),
        })
    }
}

/// Refuses an identity database that this program cannot work on. One that
/// does not answer is left to the requests that need it.
pub(crate) async fn check_identity(db: &Database) -> Result<(), Failure> {
    match tokio::time::timeout(FIRST_ANSWER, schema::check(db)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.is_of_the_schema() => {
            return Err(Failure::local("use the identity database", error));
        }
        Ok(Err(error)) => {
            tracing::warn!(error = %chain(&error), "the identity database cannot be used yet");
        }
        Err(_) => tracing::warn!("the identity database does not answer yet"),
    }
    Ok(())
}

/// The bucket.
pub(crate) fn store(config: &Config) -> ObjectStore {
    ObjectStore::new(&s3_settings(config))
}

/// How long the audit trail is kept.
pub(crate) fn retention(config: &Config) -> Retention {
    Retention { days: config.audit.retention_days, max_rows: config.audit.retention_max_rows }
}

/// Wraps an error of the configuration.
pub(crate) fn refused(error: yuantus_config::Error) -> Failure {
    Failure::local("read the configuration", error)
}

/// Makes URLs of files for the endpoint that clients reach.
pub(crate) fn presigner(config: &Config) -> Presigner {
    let settings = s3_settings(config);
    let public = config.storage.public_endpoint_url.clone();
    let settings = S3Settings { endpoint_url: public.or(settings.endpoint_url), ..settings };
    Presigner::new(&settings, Duration::from_secs(config.data.file_url_seconds))
}

fn s3_settings(config: &Config) -> S3Settings {
    let storage = &config.storage;
    S3Settings {
        endpoint_url: storage.endpoint_url.clone(),
        region: storage.region.clone(),
        bucket: storage.bucket.clone(),
        access_key_id: storage.access_key_id.clone(),
        secret_access_key: storage.secret_access_key.clone(),
    }
}

/// What SIGHUP means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hangup {
    /// The terminal is gone: stop.
    Stops,
    /// Read the certificates again, which the gateway does.
    Reloads,
}

/// A token that is cancelled by Ctrl-C, SIGTERM or the end of the terminal. A
/// second Ctrl-C ends the process at once.
pub(crate) fn stop_signal(on_hangup: Hangup) -> Result<CancellationToken, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let stopping_hangup =
            async { while hangup.recv().await.is_some() && on_hangup == Hangup::Reloads {} };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = stopping_hangup => {}
        }
        tracing::info!("stopping");
        cancelled.cancel();
        interrupt.recv().await;
        yuantus_telemetry::flush();
        std::process::exit(130);
    });
    Ok(token)
}
