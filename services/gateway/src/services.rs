//! The services behind the door, and the two ways to them.

use std::{future::Future, pin::Pin, sync::Arc};

use http::HeaderMap;
use rest_over_grpc::transcoding::{Transcode, TranscodeResponse};
use tonic::{metadata::MetadataMap, service::Routes};
use yuantus_auth::caller;
use yuantus_domain::Error;
use yuantus_proto::{
    rest::{
        ApiKeyServiceRestBridge, AuditServiceRestBridge, AuthServiceRestBridge,
        BackupServiceRestBridge, CustomerServiceRestBridge, ExportServiceRestBridge,
        FileServiceRestBridge, MemberServiceRestBridge, MigrationServiceRestBridge,
        OperationServiceRestBridge, OrgServiceRestBridge, PolicyServiceRestBridge,
        SessionServiceRestBridge, TenantServiceRestBridge, Transcoder, UserServiceRestBridge,
    },
    v1::{
        api_key_service_server::{ApiKeyService, ApiKeyServiceServer},
        audit_service_server::{AuditService, AuditServiceServer},
        auth_service_server::{AuthService, AuthServiceServer},
        backup_service_server::{BackupService, BackupServiceServer},
        customer_service_server::{CustomerService, CustomerServiceServer},
        export_service_server::{ExportService, ExportServiceServer},
        file_service_server::{FileService, FileServiceServer},
        member_service_server::{MemberService, MemberServiceServer},
        migration_service_server::{MigrationService, MigrationServiceServer},
        operation_service_server::{OperationService, OperationServiceServer},
        org_service_server::{OrgService, OrgServiceServer},
        policy_service_server::{PolicyService, PolicyServiceServer},
        session_service_server::{SessionService, SessionServiceServer},
        tenant_service_server::{TenantService, TenantServiceServer},
        user_service_server::{UserService, UserServiceServer},
    },
};

use crate::{settings::ToStatus, upload::Uploads};

/// The largest request, gRPC message or JSON body: 1 MiB.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The largest document of a tenant's data.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;
/// The RPC that takes one.
const DOCUMENT_RPC: &str = "/yuantus.controlplane.v1.ExportService/RestoreTenant";

/// The largest body of a REST request to this RPC.
pub fn max_body(rpc: &str) -> usize {
    if rpc == DOCUMENT_RPC { MAX_DOCUMENT_BYTES } else { MAX_REQUEST_BYTES }
}

/// One implementation of each service of the contract.
#[derive(Clone, Debug)]
pub struct Services<T, O, P, M, B, A, C, U, Usr, Mem, Fil, Pol, Exp, Ses, Key> {
    /// Tenants.
    pub tenants: T,
    /// Orgs.
    pub orgs: O,
    /// Operations.
    pub operations: P,
    /// Migrations.
    pub migrations: M,
    /// Backups.
    pub backups: B,
    /// Logging in.
    pub auth: A,
    /// Customers of orgs.
    pub customers: C,
    /// The audit trail.
    pub audit: U,
    /// Users.
    pub users: Usr,
    /// Members.
    pub members: Mem,
    /// Sessions.
    pub sessions: Ses,
    /// API keys.
    pub api_keys: Key,
    /// Files of orgs.
    pub files: Fil,
    /// Policies of tenants.
    pub policies: Pol,
    /// Exports of tenants.
    pub exports: Exp,
    /// Takes files that are sent.
    pub uploads: Arc<dyn Uploads>,
}

/// A request as the transcoder takes it.
pub struct RestCall {
    /// `GET`, `POST` …
    pub verb: String,
    /// Path and query.
    pub target: String,
    /// The headers handlers may see.
    pub headers: HeaderMap,
    /// JSON, or nothing.
    pub body: bytes::Bytes,
}

/// What the transcoder answers; `None` where it knows no such route.
pub type RestAnswer = Pin<Box<dyn Future<Output = Option<TranscodeResponse>> + Send>>;

/// The services by REST.
pub type RestServices = Box<dyn Fn(RestCall) -> RestAnswer + Send + Sync>;

impl<T, O, P, M, B, A, C, U, Usr, Mem, Fil, Pol, Exp, Ses, Key>
    Services<T, O, P, M, B, A, C, U, Usr, Mem, Fil, Pol, Exp, Ses, Key>
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
    /// The services by gRPC.
    pub(crate) fn grpc(&self) -> Routes {
        let max = MAX_REQUEST_BYTES;
        Routes::new(TenantServiceServer::new(self.tenants.clone()).max_decoding_message_size(max))
            .add_service(OrgServiceServer::new(self.orgs.clone()).max_decoding_message_size(max))
            .add_service(
                OperationServiceServer::new(self.operations.clone()).max_decoding_message_size(max),
            )
            .add_service(
                MigrationServiceServer::new(self.migrations.clone()).max_decoding_message_size(max),
            )
            .add_service(
                BackupServiceServer::new(self.backups.clone()).max_decoding_message_size(max),
            )
            .add_service(AuthServiceServer::new(self.auth.clone()).max_decoding_message_size(max))
            .add_service(
                CustomerServiceServer::new(self.customers.clone()).max_decoding_message_size(max),
            )
            .add_service(AuditServiceServer::new(self.audit.clone()).max_decoding_message_size(max))
            .add_service(UserServiceServer::new(self.users.clone()).max_decoding_message_size(max))
            .add_service(
                MemberServiceServer::new(self.members.clone()).max_decoding_message_size(max),
            )
            .add_service(
                SessionServiceServer::new(self.sessions.clone()).max_decoding_message_size(max),
            )
            .add_service(
                ApiKeyServiceServer::new(self.api_keys.clone()).max_decoding_message_size(max),
            )
            .add_service(
                ExportServiceServer::new(self.exports.clone())
                    .max_decoding_message_size(MAX_DOCUMENT_BYTES),
            )
            .add_service(
                PolicyServiceServer::new(self.policies.clone()).max_decoding_message_size(max),
            )
            .add_service(FileServiceServer::new(self.files.clone()).max_decoding_message_size(max))
    }

    /// The same services by REST. A guard in front of each asks once more
    /// whether the caller was authorised for that service.
    pub(crate) fn rest(self, to_status: ToStatus) -> RestServices {
        let guard = |service: &'static str| {
            move |_: &MetadataMap| authorised_for(service).map_err(to_status)
        };
        let transcoder = Arc::new(Transcoder::new(
            ApiKeyServiceRestBridge::with_guard(self.api_keys, guard("ApiKeyService")),
            AuditServiceRestBridge::with_guard(self.audit, guard("AuditService")),
            AuthServiceRestBridge::with_guard(self.auth, guard("AuthService")),
            OperationServiceRestBridge::with_guard(self.operations, guard("OperationService")),
            BackupServiceRestBridge::with_guard(self.backups, guard("BackupService")),
            CustomerServiceRestBridge::with_guard(self.customers, guard("CustomerService")),
            MemberServiceRestBridge::with_guard(self.members, guard("MemberService")),
            TenantServiceRestBridge::with_guard(self.tenants, guard("TenantService")),
            UserServiceRestBridge::with_guard(self.users, guard("UserService")),
            ExportServiceRestBridge::with_guard(self.exports, guard("ExportService")),
            FileServiceRestBridge::with_guard(self.files, guard("FileService")),
            MigrationServiceRestBridge::with_guard(self.migrations, guard("MigrationService")),
            OrgServiceRestBridge::with_guard(self.orgs, guard("OrgService")),
            PolicyServiceRestBridge::with_guard(self.policies, guard("PolicyService")),
            SessionServiceRestBridge::with_guard(self.sessions, guard("SessionService")),
        ));
        Box::new(move |call| {
            let transcoder = Arc::clone(&transcoder);
            Box::pin(async move {
                let RestCall { verb, target, headers, body } = call;
                transcoder.try_transcode(&verb, &target, headers, &body).await
            })
        })
    }
}

/// Whether the running request was admitted to an RPC of `service`.
fn authorised_for(service: &str) -> Result<(), Error> {
    let prefix = format!("/yuantus.controlplane.v1.{service}/");
    match caller::current() {
        Some(caller) if caller.rpc.starts_with(&prefix) => Ok(()),
        _ => Err(Error::denied("nobody was authorised for this request")),
    }
}
