//! Opening the door and closing it.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder as Reflection;
use tracing::{info, warn};
use yuantus_proto::{
    envoy::authorization_server::AuthorizationServer,
    v1::{
        api_key_service_server::ApiKeyService, audit_service_server::AuditService,
        auth_service_server::AuthService, backup_service_server::BackupService,
        customer_service_server::CustomerService, export_service_server::ExportService,
        file_service_server::FileService, member_service_server::MemberService,
        migration_service_server::MigrationService, operation_service_server::OperationService,
        org_service_server::OrgService, policy_service_server::PolicyService,
        session_service_server::SessionService, tenant_service_server::TenantService,
        user_service_server::UserService,
    },
};

use crate::{
    Error, GatewaySettings, Result, Services,
    admission::Admission,
    connection::{self, Door},
    cors::Cors,
    deadline::Deadline,
    fixed::Fixed,
    front::Front,
    gate::{EnvoyGate, Gate},
    health::{Health, bounded},
    proxies::Proxies,
    routes::RouteTable,
    services::MAX_REQUEST_BYTES,
    tls::{Tls, run_reload},
};

/// How often `grpc.health.v1` looks again.
const HEALTH_EVERY: Duration = Duration::from_secs(5);
/// How long to leave the listener alone when it gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves gRPC and REST on `listener` until `shutdown` is cancelled. Then no
/// connection is taken any more, streams are ended, requests under way get
/// `settings.drain` to finish, and what is left is cut off.
#[expect(clippy::type_complexity, reason = "a parameter for each service of the contract")]
pub async fn serve<T, O, P, M, B, A, C, U, Usr, Mem, Fil, Pol, Exp, Ses, Key>(
    settings: GatewaySettings,
    services: Services<T, O, P, M, B, A, C, U, Usr, Mem, Fil, Pol, Exp, Ses, Key>,
    health: Arc<dyn Health>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<()>
where
    T: TenantService + Clone,
    O: OrgService + Clone,
    P: OperationService + Clone,
    M: MigrationService + Clone,
    B: BackupService + Clone,
    A: AuthService + Clone,
    C: CustomerService + Clone,
    U: AuditService + Clone,
    Usr: UserService + Clone,
    Mem: MemberService + Clone,
    Ses: SessionService + Clone,
    Key: ApiKeyService + Clone,
    Fil: FileService + Clone,
    Pol: PolicyService + Clone,
    Exp: ExportService + Clone,
{
    let address = listener.local_addr().map_err(|source| Error::ListenerAddress { source })?;
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let admission = Admission::new(
        settings.auth_mode,
        settings.tokens.clone(),
        settings.hosts.clone(),
        settings.memory.clone(),
    );
    let admission = Arc::new(admission.with_bootstrap(settings.bootstrap.clone()));
    let gate = Arc::new(Gate::new(Arc::clone(&admission), settings.to_status));
    let observer = settings.observer.clone();
    let envoy = AuthorizationServer::new(EnvoyGate { gate: Arc::clone(&gate), observer });
    let grpc = services.grpc().add_service(health_service);
    let grpc =
        with_reflection(grpc.add_service(envoy.max_decoding_message_size(MAX_REQUEST_BYTES)))?;
    let front = Arc::new(Front {
        admission,
        gate,
        grpc: grpc.prepare(),
        uploads: Arc::clone(&services.uploads),
        platform_admin: settings.platform_admin,
        max_file_bytes: settings.max_file_bytes,
        rest: services.rest(settings.to_status),
        routes: RouteTable::new(),
        fixed: Fixed {
            health: Arc::clone(&health),
            audit_enabled: settings.audit_enabled,
            stopping: shutdown.clone(),
        },
        to_status: settings.to_status,
        body_timeout: settings.body_timeout,
        cors: Cors::new(&settings.cors_origins),
        proxies: Proxies::new(settings.trusted_proxies.clone()),
        deadline: Deadline::new(settings.request_timeout),
        observer: settings.observer.clone(),
        stopping: shutdown.clone(),
    });
    let tls = settings.tls.clone().map(Tls::load).transpose()?.map(Arc::new);
    info!(%address, tls = tls.is_some(), "serving gRPC and REST");
    let mut tasks = JoinSet::new();
    tasks.spawn(run_health(reporter, health, shutdown.clone()));
    if let Some(tls) = &tls {
        let every = settings.certificate_interval;
        tasks.spawn(run_reload(Arc::clone(tls), every, shutdown.clone()));
    }
    let header_timeout = settings.header_timeout;
    let door = Arc::new(Door { front, tls, header_timeout, stopping: shutdown });
    run_accept(&mut tasks, &listener, &door).await;
    drop(listener);
    drain(tasks, settings.drain).await;
    Ok(())
}

fn with_reflection(routes: Routes) -> Result<Routes> {
    let builder = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(yuantus_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let failed = |source| Error::Reflection { source };
    // Python's clients still ask for v1alpha.
    Ok(routes
        .add_service(builder().build_v1().map_err(failed)?)
        .add_service(builder().build_v1alpha().map_err(failed)?))
}

async fn run_accept(tasks: &mut JoinSet<()>, listener: &TcpListener, door: &Arc<Door>) {
    loop {
        let accepted = tokio::select! {
            () = door.stopping.cancelled() => return,
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    warn!(%error, "a connection's task failed");
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                tasks.spawn(connection::serve(stream, peer, Arc::clone(door)));
            }
            Err(error) => {
                warn!(%error, "cannot take a connection");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Keeps `grpc.health.v1` true: of the server as a whole.
async fn run_health(
    reporter: HealthReporter,
    health: Arc<dyn Health>,
    shutdown: CancellationToken,
) {
    use tonic_health::ServingStatus::{NotServing, Serving};
    let mut ticks = time::interval(HEALTH_EVERY);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let ready = bounded(health.identity_database()).await.is_ok();
        reporter.set_service_status("", if ready { Serving } else { NotServing }).await;
    }
    reporter.set_service_status("", NotServing).await;
}

async fn drain(mut tasks: JoinSet<()>, limit: Duration) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if time::timeout(limit, all).await.is_err() {
        warn!(connections = tasks.len(), "requests were cut off: the drain time is over");
        tasks.shutdown().await;
    }
}
