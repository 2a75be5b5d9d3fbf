//! The API under test, spoken to over gRPC and REST.

use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint};
use yuantus_proto::v1::{
    self, backup_service_client::BackupServiceClient, member_service_client::MemberServiceClient,
    migration_service_client::MigrationServiceClient,
    operation_service_client::OperationServiceClient, org_service_client::OrgServiceClient,
    tenant_service_client::TenantServiceClient, user_service_client::UserServiceClient,
};

use crate::Child;

/// A running API.
#[derive(Debug)]
pub struct Api {
    /// Its process.
    pub child: Child,
    /// Where it is, such as `http://127.0.0.1:40123`.
    pub url: String,
    channel: Channel,
}

/// No API takes longer to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

impl Api {
    /// Waits until the API of `child` is ready; its log says where it is.
    pub async fn ready(mut child: Child) -> Self {
        let begun = Instant::now();
        let url = loop {
            if let Some(url) = address(&child.log()).map(|address| format!("http://{address}"))
                && let Ok(answer) = reqwest::get(format!("{url}/readyz")).await
                && answer.status().is_success()
            {
                break url;
            }
            assert!(!child.has_ended(), "the API ended:\n{}", child.log());
            assert!(begun.elapsed() < PATIENCE, "the API is not ready:\n{}", child.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let channel = Endpoint::from_shared(url.clone()).expect("URL").connect_lazy();
        Self { child, url, channel }
    }

    /// A gRPC channel to it.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Tenants.
    pub fn tenants(&self) -> TenantServiceClient<Channel> {
        TenantServiceClient::new(self.channel())
    }

    /// Orgs.
    pub fn orgs(&self) -> OrgServiceClient<Channel> {
        OrgServiceClient::new(self.channel())
    }

    /// Operations.
    pub fn operations(&self) -> OperationServiceClient<Channel> {
        OperationServiceClient::new(self.channel())
    }

    /// Backups.
    pub fn backups(&self) -> BackupServiceClient<Channel> {
        BackupServiceClient::new(self.channel())
    }

    /// Migrations.
    pub fn migrations(&self) -> MigrationServiceClient<Channel> {
        MigrationServiceClient::new(self.channel())
    }

    /// Users.
    pub fn users(&self) -> UserServiceClient<Channel> {
        UserServiceClient::new(self.channel())
    }

    /// Members.
    pub fn members(&self) -> MemberServiceClient<Channel> {
        MemberServiceClient::new(self.channel())
    }

    /// Creates a tenant.
    pub async fn create_tenant(&self, id: &str) -> v1::Tenant {
        let request = v1::CreateTenantRequest { id: id.into(), ..Default::default() };
        self.tenants().create_tenant(request).await.expect("tenant").into_inner()
    }

    /// Asks for an org; answers its operation.
    pub async fn create_org(&self, tenant: &str, org: &str) -> v1::Operation {
        let request =
            v1::CreateOrgRequest { tenant_id: tenant.into(), id: org.into(), ..Default::default() };
        self.orgs().create_org(request).await.expect("org").into_inner()
    }

    /// Asks for a backup; answers its operation.
    pub async fn create_backup(&self, tenant: &str, org: &str) -> v1::Operation {
        let request = v1::CreateBackupRequest {
            tenant_id: tenant.into(),
            org_id: org.into(),
            ..Default::default()
        };
        self.backups().create_backup(request).await.expect("backup").into_inner()
    }

    /// Asks for a restore in place; answers its operation.
    pub async fn restore(&self, tenant: &str, org: &str, backup: &str) -> v1::Operation {
        self.restore_to(tenant, org, backup, ("", "")).await
    }

    /// Asks for a restore into another tenant and org, which are made where
    /// they are not there; answers its operation.
    pub async fn restore_to(
        &self,
        tenant: &str,
        org: &str,
        backup: &str,
        (to_tenant, to_org): (&str, &str),
    ) -> v1::Operation {
        let request = v1::RestoreBackupRequest {
            tenant_id: tenant.into(),
            org_id: org.into(),
            backup_id: backup.into(),
            target_tenant_id: to_tenant.into(),
            target_org_id: to_org.into(),
            ..Default::default()
        };
        self.backups().restore_backup(request).await.expect("restore").into_inner()
    }

    /// Asks for the migrations of an org's database; answers its operation.
    pub async fn apply_migrations(&self, tenant: &str, org: &str) -> v1::Operation {
        let request = v1::ApplyMigrationsRequest {
            tenant_id: tenant.into(),
            org_id: org.into(),
            ..Default::default()
        };
        self.migrations().apply_migrations(request).await.expect("apply").into_inner()
    }

    /// Asks for a backup to be read whole; answers its operation.
    pub async fn verify_backup(&self, tenant: &str, org: &str, backup: &str) -> v1::Operation {
        let request = v1::VerifyBackupRequest {
            tenant_id: tenant.into(),
            org_id: org.into(),
            backup_id: backup.into(),
            ..Default::default()
        };
        self.backups().verify_backup(request).await.expect("verify").into_inner()
    }

    /// Reads an operation.
    pub async fn operation(&self, id: &str) -> v1::Operation {
        let request = v1::GetOperationRequest { operation_id: id.into() };
        self.operations().get_operation(request).await.expect("operation").into_inner()
    }

    /// Waits until an operation has ended.
    pub async fn wait(&self, operation: &v1::Operation) -> v1::Operation {
        let request =
            v1::WaitOperationRequest { operation_id: operation.id.clone(), timeout_seconds: 120 };
        self.operations().wait_operation(request).await.expect("operation").into_inner()
    }

    /// Waits until an operation has succeeded.
    pub async fn succeed(&self, operation: &v1::Operation) -> v1::Operation {
        let ended = self.wait(operation).await;
        assert_eq!(ended.state(), v1::operation::State::Succeeded, "{ended:#?}");
        ended
    }

    /// The URL of an org's database, as its own role.
    pub async fn connection(&self, tenant: &str, org: &str) -> String {
        let request = v1::GetConnectionRequest { tenant_id: tenant.into(), org_id: org.into() };
        self.orgs().get_connection(request).await.expect("connection").into_inner().url
    }
}

/// The id of the backup that an operation makes.
pub fn backup_id(operation: &v1::Operation) -> &str {
    operation.target.rsplit('/').next().expect("target")
}

/// Where an API says in its log that it serves.
fn address(log: &str) -> Option<String> {
    log.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["address"].as_str().map(str::to_owned)
    })
}
