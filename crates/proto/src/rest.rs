//! The REST surface: the transcoder over the services, and the table of its
//! routes.

#[doc(inline)]
pub use generated::Transcoder;

use crate::v1::{
    __rest_over_grpc_bridge_ApiKeyService as api_key,
    __rest_over_grpc_bridge_AuditService as audit, __rest_over_grpc_bridge_AuthService as auth,
    __rest_over_grpc_bridge_BackupService as backup,
    __rest_over_grpc_bridge_CustomerService as customer,
    __rest_over_grpc_bridge_ExportService as export, __rest_over_grpc_bridge_FileService as file,
    __rest_over_grpc_bridge_MemberService as member,
    __rest_over_grpc_bridge_MigrationService as migration,
    __rest_over_grpc_bridge_OperationService as operation,
    __rest_over_grpc_bridge_OrgService as org, __rest_over_grpc_bridge_PolicyService as policy,
    __rest_over_grpc_bridge_SessionService as session,
    __rest_over_grpc_bridge_TenantService as tenant, __rest_over_grpc_bridge_UserService as user,
};

pub use api_key::ApiKeyServiceRestBridge;
pub use audit::AuditServiceRestBridge;
pub use auth::AuthServiceRestBridge;
pub use backup::BackupServiceRestBridge;
pub use customer::CustomerServiceRestBridge;
pub use export::ExportServiceRestBridge;
pub use file::FileServiceRestBridge;
pub use member::MemberServiceRestBridge;
pub use migration::MigrationServiceRestBridge;
pub use operation::OperationServiceRestBridge;
pub use org::OrgServiceRestBridge;
pub use policy::PolicyServiceRestBridge;
pub use session::SessionServiceRestBridge;
pub use tenant::TenantServiceRestBridge;
pub use user::UserServiceRestBridge;

/// One HTTP method and path, and the RPC it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The RPC as gRPC's path: `/yuantus.controlplane.v1.OrgService/GetOrg`.
    pub rpc: &'static str,
    /// The HTTP method, upper-case.
    pub verb: &'static str,
    /// The path; `{field}` stands for one segment, a trailing `:verb` is
    /// literal.
    pub template: &'static str,
    /// Whether the RPC answers with a stream.
    pub streams: bool,
    /// Whether the request says how many seconds to wait.
    pub waits: bool,
}

/// Every route the transcoder serves.
pub const ROUTES: &[Route] = include!(concat!(env!("OUT_DIR"), "/routes.rs"));

mod generated {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::unwrap_used,
        reason = "generated from the google.api.http annotations"
    )]
    /// The packages under the paths that the generated code uses.
    mod yuantus {
        pub mod controlplane {
            pub use crate::v1;
        }
    }
    include!(concat!(env!("OUT_DIR"), "/transcoder.rest.rs"));
}
