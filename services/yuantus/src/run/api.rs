//! The API, put together from the configuration.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use yuantus_audit::Trail;
use yuantus_auth::{Attempts, Passwords, Tokens, opaque, policy::Policy};
use yuantus_config::{Config, Environment};
use yuantus_control_plane::{
    app::{App, Parts, Settings, audit::Audit, clock},
    rpc::{
        ApiKeys, Audits, Auth, Backups, Customers, Exports, Files, Members, Migrations, Operations,
        Orgs, Policies, Sessions, Tenants, Users, status::status,
    },
};
use yuantus_domain::{Email, Error};
use yuantus_gateway::{Bootstrap, GatewaySettings, Hosts, Memory, Services, tls::TlsSettings};
use yuantus_identity::query::session::Life;
use yuantus_operations::{Notifier, Watcher};
use yuantus_tenant_data::{Connections, Limits, TenantServer};

use super::{
    bucket,
    common::{Common, presigner, refused, retention},
    directory::AppDirectory,
    health::AppHealth,
    keys::{Keys, prove_all, until_proved},
    metrics,
    recorder::Recorder,
    uploads::AppUploads,
};
use crate::failure::Failure;

/// An API that is set up but does not serve yet.
pub(crate) struct Api {
    /// The use cases.
    pub(crate) app: App,
    settings: GatewaySettings,
    keys: Keys,
    /// Who is to be the first platform administrator.
    owner: Option<Owner>,
    background: JoinSet<()>,
    stop_background: CancellationToken,
}

impl Api {
    /// Sets the API up. The identity database is asked at the first request.
    pub(crate) fn new(config: &Config, common: &Common) -> Result<Self, Failure> {
        let identity = config.identity_url().map_err(refused)?;
        let connections = config.identity.max_connections;
        let db = yuantus_identity::connect(&identity, connections, "yuantus:start")
            .map_err(|error| Failure::local("use identity.database_url", error))?;
        let stop = CancellationToken::new();
        let mut background = JoinSet::new();
        let pool = db.get_postgres_connection_pool().clone();
        let (notifier, sending) = Notifier::new(pool.clone(), stop.clone());
        background.spawn(sending);
        let (watcher, listening) = Watcher::new(pool.clone(), stop.clone());
        background.spawn(listening);
        let local = |error| Failure::local("set up authentication", error);
        let tokens = tokens(config).map_err(local)?;
        let (stopped, syncing) = (stop.clone(), clock::run_sync(db.clone()));
        background.spawn(async move { stopped.run_until_cancelled(syncing).await.unwrap_or(()) });
        let data = data(config)?;
        background.spawn(data.clone().run_idle(stop.clone()));
        let (trail, writer) = Trail::new(db.clone());
        background.spawn(writer.run(stop.clone()));
        let app = App::new(Parts {
            db,
            tokens: tokens.clone(),
            passwords: Passwords::bounded(config.auth.hash_concurrency, config.auth.hash_queue)
                .map_err(local)?,
            attempts: attempts(config),
            sealer: common.keys.sealer.clone(),
            notifier,
            watcher,
            bundle: common.bundle.clone(),
            server: common.server.clone(),
            data,
            store: common.store.clone(),
            presigner: presigner(config),
            audit: Audit {
                trail: trail.clone(),
                signer: common.keys.signer.clone(),
                checkpoint_interval: config.audit.checkpoint_interval(),
                retention: retention(config),
                prune_interval: config.audit.prune_interval(),
                verifying: Arc::new(Semaphore::new(1)),
            },
            settings: limits_and_names(config, common)?,
        });
        let memory = Memory::new(Arc::new(AppDirectory(app.clone())));
        let (heard, data) = (memory.clone(), app.clone());
        let hear = move |change| {
            data.forget_connections(&change);
            heard.hear(change);
        };
        background.spawn(yuantus_identity::changes::run_listen(pool, hear, stop.clone()));
        let mut settings = GatewaySettings::new(tokens, memory, status);
        settings.hosts = hosts(config);
        settings.auth_mode = config.auth.mode;
        settings.drain = config.server.drain();
        settings.request_timeout = config.server.request_timeout();
        settings.platform_admin = config.auth.platform_admin_enabled;
        settings.max_file_bytes = config.data.max_file_bytes;
        settings.cors_origins.clone_from(&config.server.cors_origins);
        settings.trusted_proxies = config.server.proxies();
        let requests = config.audit.enabled;
        settings.audit_enabled = requests;
        settings.observer = Some(Arc::new(Recorder { trail, requests }));
        settings.tls = tls(&config.server);
        settings.bootstrap = bootstrap(config);
        let owner = owner(config)?;
        let keys = common.keys.clone();
        Ok(Self { app, settings, keys, owner, background, stop_background: stop })
    }

    /// Proves the keys, as soon as the identity database is there. Until then
    /// nothing is served, signed or written. Answers false if `shutdown` came
    /// first.
    pub(crate) async fn prove_keys(&self, shutdown: &CancellationToken) -> Result<bool, Failure> {
        until_proved(&self.app.db, &self.keys, Some(&self.app.tokens), shutdown).await
    }

    /// Proves the keys at once.
    pub(crate) async fn prove_keys_now(&self) -> Result<(), Failure> {
        Ok(prove_all(&self.app.db, &self.keys, Some(&self.app.tokens)).await?)
    }

    /// Writes what is still to be written, and ends.
    pub(crate) async fn close(mut self) {
        self.stop_background.cancel();
        while self.background.join_next().await.is_some() {}
    }

    /// Shows metrics at `address`, where there is one, while it serves.
    pub(crate) async fn show_metrics(
        &mut self,
        address: Option<SocketAddr>,
    ) -> Result<(), Failure> {
        let stop = self.stop_background.clone();
        if let Some(showing) = metrics::open(address, &self.app.db, stop).await? {
            self.background.spawn(showing);
        }
        Ok(())
    }

    /// Serves until `shutdown`.
    pub(crate) async fn serve(
        mut self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), Failure> {
        let app = self.app;
        bucket::check_at_start(&mut self.background, &app.db, &app.store, &shutdown).await?;
        if let Some(owner) = self.owner {
            let ended = self.stop_background.clone();
            self.background.spawn(make_owner(app.clone(), owner, ended));
        }
        let (watcher, stopping) = (app.watcher.clone(), shutdown.clone());
        let ended = self.stop_background.clone();
        self.background.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = ended.cancelled() => {}
            }
            watcher.close();
        });
        let services = Services {
            tenants: Tenants(app.clone()),
            orgs: Orgs(app.clone()),
            operations: Operations(app.clone()),
            migrations: Migrations(app.clone()),
            backups: Backups(app.clone()),
            customers: Customers(app.clone()),
            auth: Auth(app.clone()),
            audit: Audits(app.clone()),
            users: Users(app.clone()),
            members: Members(app.clone()),
            sessions: Sessions(app.clone()),
            api_keys: ApiKeys(app.clone()),
            files: Files(app.clone()),
            exports: Exports(app.clone()),
            policies: Policies(app.clone()),
            uploads: Arc::new(AppUploads(app.clone())),
        };
        let health = Arc::new(AppHealth(app));
        let served =
            yuantus_gateway::serve(self.settings, services, health, listener, shutdown).await;
        self.stop_background.cancel();
        while self.background.join_next().await.is_some() {}
        served.map_err(|error| Failure::local("serve", error))
    }
}

/// What tokens are signed and verified with.
pub(crate) fn tokens(config: &Config) -> yuantus_auth::Result<Tokens> {
    let ttl = Duration::from_secs(config.auth.token_ttl_seconds);
    let mut tokens = Tokens::new(&config.auth.jwt_secret, ttl)?;
    for previous in &config.auth.previous_jwt_secrets {
        tokens = tokens.with_previous(previous)?;
    }
    Ok(tokens)
}

/// Connections to the orgs' own databases.
fn data(config: &Config) -> Result<Connections, Failure> {
    let data = &config.data;
    let admin = config.admin_url().map_err(refused)?;
    let server = TenantServer::new(&admin, data.statement_timeout())
        .map_err(|error| Failure::local("use tenants.database_url_template", error))?;
    let limits = Limits {
        total: data.max_connections,
        per_database: data.max_connections_per_database,
        idle: data.idle(),
        wait: data.wait(),
        statement: data.statement_timeout(),
    };
    Ok(Connections::new(server, limits))
}

/// Between two attempts to reach an identity database that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Who is to be the first platform administrator.
struct Owner {
    email: Email,
    password: SecretString,
}

fn owner(config: &Config) -> Result<Option<Owner>, Failure> {
    let auth = &config.auth;
    let Some((email, password)) =
        auth.first_owner_email.as_ref().zip(auth.first_owner_password.clone())
    else {
        return Ok(None);
    };
    let email = Email::parse("auth.first_owner_email", email)
        .map_err(|error| Failure::local("read the configuration", error))?;
    Ok(Some(Owner { email, password }))
}

/// Makes the first platform administrator, as soon as there is an identity
/// database.
async fn make_owner(app: App, owner: Owner, ended: CancellationToken) {
    loop {
        match app.ensure_first_owner(&owner.email, &owner.password).await {
            Ok(true) => {
                return tracing::info!(email = owner.email.as_str(), "made the first owner");
            }
            Ok(false) => return,
            Err(error @ Error::InvalidArgument { .. }) => {
                return tracing::error!(%error, "the first owner cannot be made");
            }
            Err(error) => tracing::debug!(%error, "the first owner cannot be made yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = ended.cancelled() => return,
        }
    }
}

fn bootstrap(config: &Config) -> Option<Bootstrap> {
    let token = config.auth.bootstrap_token.as_ref()?;
    let hash = opaque::hash(token.expose_secret());
    Some(Bootstrap { hash, always: config.auth.bootstrap_token_always })
}

/// How often somebody may try to log in.
fn attempts(config: &Config) -> Attempts {
    let limits = config.auth.login_attempts(config.environment);
    Attempts::new(limits.per_account, limits.per_source)
}

fn hosts(config: &Config) -> Hosts {
    let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let tenancy = &config.tenancy;
    Hosts {
        root_domain: tenancy.root_domain.trim_matches('.').to_ascii_lowercase(),
        platform_hosts: lower(&tenancy.platform_hosts),
        reserved_subdomains: lower(&tenancy.reserved_subdomains),
    }
}

/// Where the certificates are; nothing where the port speaks plain HTTP.
fn tls(server: &yuantus_config::Server) -> Option<TlsSettings> {
    let (certificate, key) = server.tls_certificate.clone().zip(server.tls_key.clone())?;
    let client_ca = server.tls_client_ca.clone();
    Some(TlsSettings { certificate, key, client_ca, clients: server.tls_client_certificates })
}

fn limits_and_names(config: &Config, common: &Common) -> Result<Settings, Failure> {
    let endpoint = config.storage.public_endpoint_url.clone();
    let environment = match config.environment {
        Environment::Dev => "dev",
        Environment::Production => "production",
    };
    Ok(Settings {
        database_names: config.name_template().map_err(refused)?,
        client_host: config.tenants.client_host.clone(),
        client_port: config.tenants.client_port,
        backup_endpoint: endpoint.unwrap_or_else(|| common.store.endpoint().to_owned()),
        password_policy: Policy::of(environment),
        session_life: Life {
            whole: config.auth.session_ttl_seconds.cast_signed(),
            idle: config.auth.session_idle_seconds.cast_signed(),
        },
        max_attempts: i32::try_from(config.worker.max_attempts).unwrap_or(i32::MAX),
        lane_depth: config.worker.lane_depth.into(),
    })
}
