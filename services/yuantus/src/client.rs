//! The gRPC clients, with the caller's token on every request.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use yuantus_proto::v1::{
    api_key_service_client::ApiKeyServiceClient, audit_service_client::AuditServiceClient,
    auth_service_client::AuthServiceClient, backup_service_client::BackupServiceClient,
    member_service_client::MemberServiceClient, migration_service_client::MigrationServiceClient,
    operation_service_client::OperationServiceClient, org_service_client::OrgServiceClient,
    session_service_client::SessionServiceClient, tenant_service_client::TenantServiceClient,
    user_service_client::UserServiceClient,
};

use crate::failure::Failure;

/// Where a server is when nothing else says so.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7910";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

type Service = InterceptedService<Channel, Bearer>;

/// Puts the token on a request.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Whom to trust with `https://`, and how to be trusted.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Trust {
    /// PEM file of the authorities to trust with https://, instead of the machine's
    #[arg(long, value_name = "FILE", env = "YUANTUS_CA_FILE", global = true)]
    ca_file: Option<PathBuf>,
    /// PEM file of a certificate to show to the server
    #[arg(
        long,
        value_name = "FILE",
        env = "YUANTUS_CLIENT_CERTIFICATE",
        requires = "client_key",
        global = true
    )]
    client_certificate: Option<PathBuf>,
    /// PEM file of its key
    #[arg(
        long,
        value_name = "FILE",
        env = "YUANTUS_CLIENT_KEY",
        requires = "client_certificate",
        global = true
    )]
    client_key: Option<PathBuf>,
}

impl Trust {
    fn read(&self) -> Result<ClientTlsConfig, Failure> {
        let config = match &self.ca_file {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem(path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => {
                Ok(config.identity(Identity::from_pem(pem(certificate)?, pem(key)?)))
            }
            _ => Ok(config),
        }
    }
}

fn pem(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::local(format!("read {}", path.display()), error))
}

/// A server to talk to.
#[derive(Clone)]
pub(crate) struct Client {
    server: String,
    channel: Channel,
    bearer: Bearer,
}

macro_rules! services {
    ($($name:ident: $client:ident,)+) => {
        impl Client {
            $(
                pub(crate) fn $name(&self) -> $client<Service> {
                    let service =
                        InterceptedService::new(self.channel.clone(), self.bearer.clone());
                    $client::new(service).max_decoding_message_size(64 << 20)
                }
            )+
        }
    };
}

services! {
    api_keys: ApiKeyServiceClient,
    audit: AuditServiceClient,
    auth: AuthServiceClient,
    backups: BackupServiceClient,
    members: MemberServiceClient,
    migrations: MigrationServiceClient,
    operations: OperationServiceClient,
    orgs: OrgServiceClient,
    sessions: SessionServiceClient,
    tenants: TenantServiceClient,
    users: UserServiceClient,
}

impl Client {
    /// Gets ready to talk to `server`; it is reached at the first request.
    pub(crate) fn new(server: &str, token: Option<&str>, trust: &Trust) -> Result<Self, Failure> {
        let server = server.trim_end_matches('/').to_owned();
        let usage = |error: tonic::transport::Error| {
            Failure::Usage(format!("`{server}` is not the URL of a server: {error}"))
        };
        if !server.starts_with("http://") && !server.starts_with("https://") {
            return Err(Failure::Usage(format!(
                "`{server}` is not the URL of a server: it must begin with http:// or https://"
            )));
        }
        let mut endpoint = Endpoint::from_shared(server.clone())
            .map_err(usage)?
            .user_agent(concat!("yuantus/", env!("CARGO_PKG_VERSION")))
            .map_err(usage)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE);
        if server.starts_with("https://") {
            endpoint = endpoint.tls_config(trust.read()?).map_err(usage)?;
        }
        Ok(Self { channel: endpoint.connect_lazy(), bearer: bearer(token)?, server })
    }

    /// The server's URL.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Says which server refused.
    pub(crate) fn refused(&self, status: Status) -> Failure {
        Failure::Status { server: self.server.clone(), status: Box::new(status) }
    }
}

fn bearer(token: Option<&str>) -> Result<Bearer, Failure> {
    let Some(token) = token else {
        return Ok(Bearer(None));
    };
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
        .parse()
        .map_err(|_| Failure::Usage("the token holds characters that no token has".into()))?;
    value.set_sensitive(true);
    Ok(Bearer(Some(value)))
}
