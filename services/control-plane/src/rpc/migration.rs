//! `MigrationService`.

use tonic::{Request, Response};
use yuantus_domain::{OrgKey, PageSize, TenantId};
use yuantus_proto::v1::{self, migration_service_server::MigrationService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{App, migration::MigrationStatus};

/// Serves migrations.
#[derive(Clone)]
pub struct Migrations(pub App);

fn shown(migrations: MigrationStatus) -> v1::MigrationStatus {
    v1::MigrationStatus {
        tenant_id: migrations.tenant,
        org_id: migrations.org,
        revision: migrations.revision,
        target_revision: migrations.target,
        up_to_date: migrations.pending.is_empty(),
        pending: migrations.pending,
    }
}

#[tonic::async_trait]
impl MigrationService for Migrations {
    async fn get_bundle(&self, _request: Request<v1::GetBundleRequest>) -> Answer<v1::Bundle> {
        let bundle = &self.0.bundle;
        let migrations = bundle.migrations().iter().map(|migration| v1::Migration {
            version: migration.version,
            description: migration.description.clone(),
            checksum: hex::encode(migration.checksum),
        });
        Ok(Response::new(v1::Bundle {
            fingerprint: bundle.fingerprint().to_owned(),
            migrations: migrations.collect(),
        }))
    }

    async fn get_migration_status(
        &self,
        request: Request<v1::GetMigrationStatusRequest>,
    ) -> Answer<v1::MigrationStatus> {
        let request = request.get_ref();
        let key = OrgKey::parse(&request.tenant_id, &request.org_id).map_err(status)?;
        let found = self.0.get_migration_status(&key).await.map_err(status)?;
        Ok(Response::new(shown(found)))
    }

    async fn list_migration_statuses(
        &self,
        request: Request<v1::ListMigrationStatusesRequest>,
    ) -> Answer<v1::ListMigrationStatusesResponse> {
        let request = request.into_inner();
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let tenant = match request.tenant_id.as_str() {
            "" => None,
            id => Some(TenantId::parse("tenant_id", id).map_err(status)?),
        };
        let page = self
            .0
            .list_migration_statuses(tenant.as_ref(), size, &request.page_token)
            .await
            .map_err(status)?;
        Ok(Response::new(v1::ListMigrationStatusesResponse {
            statuses: page.items.into_iter().map(shown).collect(),
            next_page_token: page.next,
        }))
    }

    async fn apply_migrations(
        &self,
        request: Request<v1::ApplyMigrationsRequest>,
    ) -> Answer<v1::Operation> {
        let request = request.get_ref();
        let key = OrgKey::parse(&request.tenant_id, &request.org_id).map_err(status)?;
        let idempotency = convert::idempotency(&request.request_id).map_err(status)?;
        let operation = self.0.apply_migrations(&key, idempotency).await.map_err(status)?;
        Ok(Response::new(convert::operation(operation).map_err(status)?))
    }
}
