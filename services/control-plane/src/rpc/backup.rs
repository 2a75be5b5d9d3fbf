//! `BackupService`.

use secrecy::ExposeSecret;
use tonic::{Request, Response};
use yuantus_domain::{OrgId, OrgKey, PageSize, Result, TenantId};
use yuantus_proto::v1::{self, backup_service_server::BackupService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{App, restore::RestoreBackup};

/// Serves backups.
#[derive(Clone)]
pub struct Backups(pub App);

fn parse_restore(request: &v1::RestoreBackupRequest) -> Result<RestoreBackup> {
    let source = OrgKey::parse(&request.tenant_id, &request.org_id)?;
    let tenant = match request.target_tenant_id.as_str() {
        "" => source.tenant.clone(),
        id => TenantId::parse_new("target_tenant_id", id)?,
    };
    let org = match request.target_org_id.as_str() {
        "" => source.org.clone(),
        id => OrgId::parse_new("target_org_id", id)?,
    };
    Ok(RestoreBackup {
        source,
        backup: convert::uuid("backup_id", &request.backup_id)?,
        target: OrgKey { tenant, org },
        replace: request.replace,
        idempotency: convert::idempotency(&request.request_id)?,
    })
}

#[tonic::async_trait]
impl BackupService for Backups {
    async fn create_backup(
        &self,
        request: Request<v1::CreateBackupRequest>,
    ) -> Answer<v1::Operation> {
        let request = request.get_ref();
        let key = OrgKey::parse(&request.tenant_id, &request.org_id).map_err(status)?;
        let idempotency = convert::idempotency(&request.request_id).map_err(status)?;
        let operation = self.0.create_backup(&key, idempotency).await.map_err(status)?;
        Ok(Response::new(convert::operation(operation).map_err(status)?))
    }

    async fn get_backup(&self, request: Request<v1::GetBackupRequest>) -> Answer<v1::Backup> {
        let request = request.get_ref();
        let key = OrgKey::parse(&request.tenant_id, &request.org_id).map_err(status)?;
        let id = convert::uuid("backup_id", &request.backup_id).map_err(status)?;
        let found = self.0.get_backup(&key, id).await.map_err(status)?;
        Ok(Response::new(convert::backup(found).map_err(status)?))
    }

    async fn list_backups(
        &self,
        request: Request<v1::ListBackupsRequest>,
    ) -> Answer<v1::ListBackupsResponse> {
        let request = request.into_inner();
        let key = OrgKey::parse(&request.tenant_id, &request.org_id).map_err(status)?;
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let page = self.0.list_backups(&key, size, &request.page_token).await.map_err(status)?;
        let backups = page.items.into_iter().map(convert::backup).collect::<Result<_>>();
        Ok(Response::new(v1::ListBackupsResponse {
            backups: backups.map_err(status)?,
            next_page_token: page.next,
        }))
    }

    async fn verify_backup(
        &self,
        request: Request<v1::VerifyBackupRequest>,
    ) -> Answer<v1::Operation> {
        let request = request.get_ref();
        let key = OrgKey::parse(&request.tenant_id, &request.org_id).map_err(status)?;
        let id = convert::uuid("backup_id", &request.backup_id).map_err(status)?;
        let idempotency = convert::idempotency(&request.request_id).map_err(status)?;
        let operation = self.0.verify_backup(&key, id, idempotency).await.map_err(status)?;
        Ok(Response::new(convert::operation(operation).map_err(status)?))
    }

    async fn restore_backup(
        &self,
        request: Request<v1::RestoreBackupRequest>,
    ) -> Answer<v1::Operation> {
        let asked = parse_restore(request.get_ref()).map_err(status)?;
        let operation = self.0.restore_backup(asked).await.map_err(status)?;
        Ok(Response::new(convert::operation(operation).map_err(status)?))
    }

    async fn get_backup_key(
        &self,
        request: Request<v1::GetBackupKeyRequest>,
    ) -> Answer<v1::BackupKey> {
        let request = request.get_ref();
        let key = OrgKey::parse(&request.tenant_id, &request.org_id).map_err(status)?;
        let id = convert::uuid("backup_id", &request.backup_id).map_err(status)?;
        let revealed = self.0.get_backup_key(&key, id).await.map_err(status)?;
        Ok(Response::new(v1::BackupKey {
            repository: revealed.repository,
            password: revealed.password.expose_secret().to_owned(),
            snapshot_id: revealed.snapshot_id,
            dump_path: revealed.dump_path,
        }))
    }
}
