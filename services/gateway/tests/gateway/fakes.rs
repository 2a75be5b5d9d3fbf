//! Services that answer what tests ask for, and note which RPC was called by
//! whom.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};
use yuantus_auth::{Caller, caller};
use yuantus_domain::Error;
use yuantus_gateway::upload::{Incoming, Uploads};
use yuantus_proto::v1::{
    api_key_service_server::ApiKeyService, audit_service_server::AuditService,
    auth_service_server::AuthService, backup_service_server::BackupService,
    customer_service_server::CustomerService, export_service_server::ExportService,
    file_service_server::FileService, member_service_server::MemberService,
    migration_service_server::MigrationService, operation_service_server::OperationService,
    org_service_server::OrgService, policy_service_server::PolicyService,
    session_service_server::SessionService, tenant_service_server::TenantService,
    user_service_server::UserService, *,
};

use crate::status::{careless, status};

/// All services at once.
#[derive(Clone, Default)]
pub struct Fake {
    pub calls: Arc<Mutex<Vec<Call>>>,
    /// Signalled when a wait has begun.
    pub waiting: Arc<Notify>,
    /// Ends a wait.
    pub release: Arc<Notify>,
}

/// One call.
pub struct Call {
    /// The handler that ran.
    pub handler: &'static str,
    /// What it saw.
    pub caller: Arc<Caller>,
}

type Answer<T> = Result<Response<T>, Status>;
type Operations = Pin<Box<dyn Stream<Item = Result<Operation, Status>> + Send>>;

impl Fake {
    fn note(&self, handler: &'static str) {
        let caller = caller::current().expect("handlers run for a caller");
        self.calls.lock().unwrap().push(Call { handler, caller });
    }

    fn answer<T: Default>(&self, handler: &'static str) -> Answer<T> {
        self.note(handler);
        Ok(Response::new(T::default()))
    }

    pub fn last(&self) -> Call {
        self.calls.lock().unwrap().pop().expect("no handler ran")
    }
}

fn operation(id: &str) -> Operation {
    Operation { id: id.into(), ..Operation::default() }
}

/// What the handler of CreateTenant answers to the tenant of this id.
fn outcome(id: &str) -> Result<(), Status> {
    Err(status(match id {
        "taken" => Error::exists("tenant", id),
        "Bad" => Error::invalid("id", "may hold lower-case letters only"),
        "early" => Error::precondition("NOT_READY", "not ready"),
        "full" => Error::ResourceExhausted { reason: "QUOTA", message: "quota reached".into() },
        "later" => Error::Unavailable {
            reason: "HIBERNATED",
            message: "asleep".into(),
            retry_after: Duration::from_millis(6_500),
        },
        "racy" => Error::Conflict { kind: "tenant", id: id.into() },
        "broken" => Error::internal("the password is hunter2"),
        "careless" => return Err(careless("the password is hunter2")),
        "panic" => panic!("the password is hunter2"),
        _ => return Ok(()),
    }))
}

#[tonic::async_trait]
impl TenantService for Fake {
    async fn create_tenant(&self, request: Request<CreateTenantRequest>) -> Answer<Tenant> {
        self.note("TenantService/CreateTenant");
        assert!(request.metadata().get("authorization").is_none(), "handlers see no tokens");
        let request = request.into_inner();
        outcome(&request.id)?;
        let plan = caller::idempotency_key(&request.request_id);
        let name = request.admin_username;
        Ok(Response::new(Tenant { id: request.id, name, plan, ..Tenant::default() }))
    }

    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Answer<Tenant> {
        self.note("TenantService/GetTenant");
        let id = request.into_inner().tenant_id;
        if id == "hangs" {
            std::future::pending::<()>().await;
        }
        Err(status(Error::not_found("tenant", id)))
    }

    async fn get_current_tenant(&self, _: Request<GetCurrentTenantRequest>) -> Answer<Tenant> {
        self.answer("TenantService/GetCurrentTenant")
    }

    async fn update_tenant(&self, _: Request<UpdateTenantRequest>) -> Answer<Tenant> {
        self.answer("TenantService/UpdateTenant")
    }

    async fn list_tenants(&self, _: Request<ListTenantsRequest>) -> Answer<ListTenantsResponse> {
        self.answer("TenantService/ListTenants")
    }
}

#[tonic::async_trait]
impl OrgService for Fake {
    async fn create_org(&self, request: Request<CreateOrgRequest>) -> Answer<Operation> {
        self.note("OrgService/CreateOrg");
        let request = request.into_inner();
        Ok(Response::new(Operation {
            id: "o1".into(),
            tenant_id: request.tenant_id,
            org_id: request.id,
            state: operation::State::Pending.into(),
            ..Operation::default()
        }))
    }

    async fn get_org(&self, _: Request<GetOrgRequest>) -> Answer<Org> {
        self.answer("OrgService/GetOrg")
    }

    async fn update_org(&self, _: Request<UpdateOrgRequest>) -> Answer<Org> {
        self.answer("OrgService/UpdateOrg")
    }

    async fn list_orgs(&self, _: Request<ListOrgsRequest>) -> Answer<ListOrgsResponse> {
        self.answer("OrgService/ListOrgs")
    }

    async fn get_connection(&self, _: Request<GetConnectionRequest>) -> Answer<Connection> {
        self.answer("OrgService/GetConnection")
    }
}

#[tonic::async_trait]
impl OperationService for Fake {
    type WatchOperationStream = Operations;

    async fn get_operation(&self, _: Request<GetOperationRequest>) -> Answer<Operation> {
        self.answer("OperationService/GetOperation")
    }

    async fn list_operations(
        &self,
        _: Request<ListOperationsRequest>,
    ) -> Answer<ListOperationsResponse> {
        self.answer("OperationService/ListOperations")
    }

    async fn wait_operation(&self, request: Request<WaitOperationRequest>) -> Answer<Operation> {
        self.note("OperationService/WaitOperation");
        let id = request.into_inner().operation_id;
        if id == "slow" {
            self.waiting.notify_one();
            self.release.notified().await;
        }
        Ok(Response::new(operation(&id)))
    }

    async fn watch_operation(&self, request: Request<WatchOperationRequest>) -> Answer<Operations> {
        self.note("OperationService/WatchOperation");
        let first = stream::iter([Ok(operation("1"))]);
        let rest: Operations = match request.into_inner().operation_id.as_str() {
            "forever" => stream::pending().boxed(),
            "fails" => stream::iter([Err(status(Error::not_found("operation", "fails")))]).boxed(),
            "panics" => stream::once(async { panic!("in a stream") }).boxed(),
            _ => stream::once(async {
                let caller = caller::current().expect("streams run for a caller");
                Ok(operation(&caller.request_id))
            })
            .boxed(),
        };
        Ok(Response::new(first.chain(rest).boxed()))
    }

    async fn cancel_operation(&self, _: Request<CancelOperationRequest>) -> Answer<Operation> {
        self.answer("OperationService/CancelOperation")
    }

    async fn retry_operation(&self, _: Request<RetryOperationRequest>) -> Answer<Operation> {
        self.answer("OperationService/RetryOperation")
    }
}

#[tonic::async_trait]
impl MigrationService for Fake {
    async fn get_bundle(&self, _: Request<GetBundleRequest>) -> Answer<Bundle> {
        self.answer("MigrationService/GetBundle")
    }

    async fn get_migration_status(
        &self,
        _: Request<GetMigrationStatusRequest>,
    ) -> Answer<MigrationStatus> {
        self.answer("MigrationService/GetMigrationStatus")
    }

    async fn list_migration_statuses(
        &self,
        _: Request<ListMigrationStatusesRequest>,
    ) -> Answer<ListMigrationStatusesResponse> {
        self.answer("MigrationService/ListMigrationStatuses")
    }

    async fn apply_migrations(&self, _: Request<ApplyMigrationsRequest>) -> Answer<Operation> {
        self.answer("MigrationService/ApplyMigrations")
    }
}

#[tonic::async_trait]
impl BackupService for Fake {
    async fn create_backup(&self, _: Request<CreateBackupRequest>) -> Answer<Operation> {
        self.answer("BackupService/CreateBackup")
    }

    async fn get_backup(&self, _: Request<GetBackupRequest>) -> Answer<Backup> {
        self.answer("BackupService/GetBackup")
    }

    async fn list_backups(&self, _: Request<ListBackupsRequest>) -> Answer<ListBackupsResponse> {
        self.answer("BackupService/ListBackups")
    }

    async fn verify_backup(&self, _: Request<VerifyBackupRequest>) -> Answer<Operation> {
        self.answer("BackupService/VerifyBackup")
    }

    async fn restore_backup(&self, _: Request<RestoreBackupRequest>) -> Answer<Operation> {
        self.answer("BackupService/RestoreBackup")
    }

    async fn get_backup_key(&self, _: Request<GetBackupKeyRequest>) -> Answer<BackupKey> {
        self.answer("BackupService/GetBackupKey")
    }
}

#[tonic::async_trait]
impl CustomerService for Fake {
    async fn create_customer(&self, _: Request<CreateCustomerRequest>) -> Answer<Customer> {
        self.answer("CustomerService/CreateCustomer")
    }

    async fn get_customer(&self, _: Request<GetCustomerRequest>) -> Answer<Customer> {
        self.answer("CustomerService/GetCustomer")
    }

    async fn list_customers(
        &self,
        _: Request<ListCustomersRequest>,
    ) -> Answer<ListCustomersResponse> {
        self.answer("CustomerService/ListCustomers")
    }

    async fn update_customer(&self, _: Request<UpdateCustomerRequest>) -> Answer<Customer> {
        self.answer("CustomerService/UpdateCustomer")
    }

    async fn delete_customer(
        &self,
        _: Request<DeleteCustomerRequest>,
    ) -> Answer<DeleteCustomerResponse> {
        self.answer("CustomerService/DeleteCustomer")
    }
}

#[tonic::async_trait]
impl FileService for Fake {
    async fn get_file(&self, _: Request<GetFileRequest>) -> Answer<File> {
        self.answer("FileService/GetFile")
    }

    async fn list_files(&self, _: Request<ListFilesRequest>) -> Answer<ListFilesResponse> {
        self.answer("FileService/ListFiles")
    }

    async fn delete_file(&self, _: Request<DeleteFileRequest>) -> Answer<DeleteFileResponse> {
        self.answer("FileService/DeleteFile")
    }

    async fn get_download_url(&self, _: Request<GetDownloadUrlRequest>) -> Answer<DownloadUrl> {
        self.answer("FileService/GetDownloadUrl")
    }
}

#[tonic::async_trait]
impl ExportService for Fake {
    async fn export_tenant(&self, _: Request<ExportTenantRequest>) -> Answer<TenantExport> {
        self.answer("ExportService/ExportTenant")
    }

    async fn restore_tenant(
        &self,
        _: Request<RestoreTenantRequest>,
    ) -> Answer<RestoreTenantResponse> {
        self.answer("ExportService/RestoreTenant")
    }
}

#[tonic::async_trait]
impl PolicyService for Fake {
    async fn get_policy(&self, _: Request<GetPolicyRequest>) -> Answer<Policy> {
        self.answer("PolicyService/GetPolicy")
    }

    async fn update_policy(&self, request: Request<UpdatePolicyRequest>) -> Answer<Policy> {
        self.note("PolicyService/UpdatePolicy");
        let UpdatePolicyRequest { tenant_id, area, policy, .. } = request.into_inner();
        Ok(Response::new(Policy { tenant_id, area, policy, ..Policy::default() }))
    }
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

#[tonic::async_trait]
impl Uploads for Fake {
    async fn upload(&self, mut incoming: Incoming) -> yuantus_domain::Result<File> {
        self.note("FileService/UploadFile");
        let (mut size, mut chunks) = (0, 0);
        while let Some(chunk) = incoming.bytes.next().await {
            size += chunk.map_err(|cut| Error::invalid("file", cut.to_string()))?.len();
            chunks += 1;
        }
        let (filename, content_type) = (incoming.filename, incoming.content_type);
        let checksum = format!("{chunks} chunks");
        let size = size.try_into().unwrap();
        Ok(File { filename, content_type, size, checksum, ..File::default() })
    }
}

#[tonic::async_trait]
impl AuthService for Fake {
    async fn login(&self, _: Request<LoginRequest>) -> Answer<LoginResponse> {
        self.answer("AuthService/Login")
    }

    async fn login_to_platform(&self, _: Request<LoginToPlatformRequest>) -> Answer<LoginResponse> {
        self.answer("AuthService/LoginToPlatform")
    }

    async fn list_own_orgs(&self, _: Request<ListOwnOrgsRequest>) -> Answer<ListOwnOrgsResponse> {
        self.answer("AuthService/ListOwnOrgs")
    }

    async fn switch_org(&self, _: Request<SwitchOrgRequest>) -> Answer<LoginResponse> {
        self.answer("AuthService/SwitchOrg")
    }

    async fn refresh_token(&self, _: Request<RefreshTokenRequest>) -> Answer<LoginResponse> {
        self.answer("AuthService/RefreshToken")
    }

    async fn change_password(
        &self,
        _: Request<ChangePasswordRequest>,
    ) -> Answer<ChangePasswordResponse> {
        self.answer("AuthService/ChangePassword")
    }

    async fn logout(&self, _: Request<LogoutRequest>) -> Answer<LogoutResponse> {
        self.answer("AuthService/Logout")
    }

    async fn get_me(&self, _: Request<GetMeRequest>) -> Answer<Me> {
        self.note("AuthService/GetMe");
        let principal = caller::principal().map_err(status)?;
        let (tenant_id, username) = (principal.tenant, principal.username);
        Ok(Response::new(Me { tenant_id, username, ..Me::default() }))
    }
}

type AuditLogs = Pin<Box<dyn Stream<Item = Result<AuditLog, Status>> + Send>>;
type AuditVerifications = Pin<Box<dyn Stream<Item = Result<AuditVerification, Status>> + Send>>;

#[tonic::async_trait]
impl AuditService for Fake {
    type ExportAuditLogsStream = AuditLogs;
    type VerifyAuditStream = AuditVerifications;

    async fn list_audit_logs(
        &self,
        _: Request<ListAuditLogsRequest>,
    ) -> Answer<ListAuditLogsResponse> {
        self.answer("AuditService/ListAuditLogs")
    }

    async fn test_audit(&self, _: Request<TestAuditRequest>) -> Answer<AuditLog> {
        self.answer("AuditService/TestAudit")
    }

    async fn list_audit_items(
        &self,
        _: Request<ListAuditItemsRequest>,
    ) -> Answer<ListAuditItemsResponse> {
        self.answer("AuditService/ListAuditItems")
    }

    async fn export_audit_logs(&self, _: Request<ExportAuditLogsRequest>) -> Answer<AuditLogs> {
        self.note("AuditService/ExportAuditLogs");
        Ok(Response::new(stream::empty().boxed()))
    }

    async fn verify_audit(&self, _: Request<VerifyAuditRequest>) -> Answer<AuditVerifications> {
        self.note("AuditService/VerifyAudit");
        Ok(Response::new(stream::empty().boxed()))
    }

    async fn get_audit_retention(
        &self,
        _: Request<GetAuditRetentionRequest>,
    ) -> Answer<AuditRetention> {
        self.answer("AuditService/GetAuditRetention")
    }

    async fn prune_audit(&self, _: Request<PruneAuditRequest>) -> Answer<PruneAuditResponse> {
        self.answer("AuditService/PruneAudit")
    }
}

#[tonic::async_trait]
impl UserService for Fake {
    async fn create_user(&self, _: Request<CreateUserRequest>) -> Answer<User> {
        self.answer("UserService/CreateUser")
    }

    async fn get_user(&self, _: Request<GetUserRequest>) -> Answer<User> {
        self.answer("UserService/GetUser")
    }

    async fn list_users(&self, _: Request<ListUsersRequest>) -> Answer<ListUsersResponse> {
        self.answer("UserService/ListUsers")
    }

    async fn update_user(&self, _: Request<UpdateUserRequest>) -> Answer<User> {
        self.answer("UserService/UpdateUser")
    }

    async fn delete_user(&self, _: Request<DeleteUserRequest>) -> Answer<DeleteUserResponse> {
        self.answer("UserService/DeleteUser")
    }

    async fn reset_password(&self, _: Request<ResetPasswordRequest>) -> Answer<User> {
        self.answer("UserService/ResetPassword")
    }
}

#[tonic::async_trait]
impl MemberService for Fake {
    async fn add_member(&self, _: Request<AddMemberRequest>) -> Answer<Member> {
        self.answer("MemberService/AddMember")
    }

    async fn list_members(&self, _: Request<ListMembersRequest>) -> Answer<ListMembersResponse> {
        self.answer("MemberService/ListMembers")
    }

    async fn update_member(&self, _: Request<UpdateMemberRequest>) -> Answer<Member> {
        self.answer("MemberService/UpdateMember")
    }

    async fn remove_member(&self, _: Request<RemoveMemberRequest>) -> Answer<RemoveMemberResponse> {
        self.answer("MemberService/RemoveMember")
    }
}

#[tonic::async_trait]
impl SessionService for Fake {
    async fn list_sessions(&self, _: Request<ListSessionsRequest>) -> Answer<ListSessionsResponse> {
        self.answer("SessionService/ListSessions")
    }

    async fn revoke_session(
        &self,
        _: Request<RevokeSessionRequest>,
    ) -> Answer<RevokeSessionResponse> {
        self.answer("SessionService/RevokeSession")
    }

    async fn list_user_sessions(
        &self,
        _: Request<ListUserSessionsRequest>,
    ) -> Answer<ListSessionsResponse> {
        self.answer("SessionService/ListUserSessions")
    }

    async fn revoke_user_sessions(
        &self,
        _: Request<RevokeUserSessionsRequest>,
    ) -> Answer<RevokeUserSessionsResponse> {
        self.answer("SessionService/RevokeUserSessions")
    }
}

#[tonic::async_trait]
impl ApiKeyService for Fake {
    async fn create_api_key(
        &self,
        _: Request<CreateApiKeyRequest>,
    ) -> Answer<CreateApiKeyResponse> {
        self.answer("ApiKeyService/CreateApiKey")
    }

    async fn list_api_keys(&self, _: Request<ListApiKeysRequest>) -> Answer<ListApiKeysResponse> {
        self.answer("ApiKeyService/ListApiKeys")
    }

    async fn revoke_api_key(
        &self,
        _: Request<RevokeApiKeyRequest>,
    ) -> Answer<RevokeApiKeyResponse> {
        self.answer("ApiKeyService/RevokeApiKey")
    }
}
