//! `OrgService`.

use secrecy::ExposeSecret;
use tonic::{Request, Response};
use yuantus_domain::{OrgId, OrgKey, PageSize, Result, TenantId};
use yuantus_proto::v1::{self, org_service_server::OrgService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{App, org::CreateOrg};

/// Serves orgs.
#[derive(Clone)]
pub struct Orgs(pub App);

fn parse_create(request: v1::CreateOrgRequest) -> Result<CreateOrg> {
    Ok(CreateOrg {
        key: OrgKey {
            tenant: TenantId::parse("tenant_id", &request.tenant_id)?,
            org: OrgId::parse_new("id", &request.id)?,
        },
        name: request.name,
        idempotency: convert::idempotency(&request.request_id)?,
    })
}

/// An org of the tenant that the request names, or of its context's.
fn key(tenant: &str, org: &str) -> Result<OrgKey> {
    Ok(OrgKey { tenant: convert::tenant_id(tenant)?, org: OrgId::parse("org_id", org)? })
}

#[tonic::async_trait]
impl OrgService for Orgs {
    async fn create_org(&self, request: Request<v1::CreateOrgRequest>) -> Answer<v1::Operation> {
        let asked = parse_create(request.into_inner()).map_err(status)?;
        let operation = self.0.create_org(asked).await.map_err(status)?;
        Ok(Response::new(convert::operation(operation).map_err(status)?))
    }

    async fn get_org(&self, request: Request<v1::GetOrgRequest>) -> Answer<v1::Org> {
        let request = request.get_ref();
        let key = key(&request.tenant_id, &request.org_id).map_err(status)?;
        let found = self.0.get_org(&key).await.map_err(status)?;
        Ok(Response::new(convert::org(found).map_err(status)?))
    }

    async fn update_org(&self, request: Request<v1::UpdateOrgRequest>) -> Answer<v1::Org> {
        let request = request.get_ref();
        let key = key(&request.tenant_id, &request.org_id).map_err(status)?;
        let changed = self.0.update_org(&key, request.name.as_deref()).await.map_err(status)?;
        Ok(Response::new(convert::org(changed).map_err(status)?))
    }

    async fn list_orgs(
        &self,
        request: Request<v1::ListOrgsRequest>,
    ) -> Answer<v1::ListOrgsResponse> {
        let request = request.into_inner();
        let tenant = TenantId::parse("tenant_id", &request.tenant_id).map_err(status)?;
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let listed = self.0.list_orgs(&tenant, size, &request.page_token).await;
        let listed = listed.map_err(status)?;
        let orgs = listed.page.items.into_iter().map(convert::org).collect::<Result<_>>();
        Ok(Response::new(v1::ListOrgsResponse {
            orgs: orgs.map_err(status)?,
            next_page_token: listed.page.next,
            total: convert::count(listed.total),
        }))
    }

    async fn get_connection(
        &self,
        request: Request<v1::GetConnectionRequest>,
    ) -> Answer<v1::Connection> {
        let request = request.get_ref();
        let key = OrgKey::parse(&request.tenant_id, &request.org_id).map_err(status)?;
        let connection = self.0.get_connection(&key).await.map_err(status)?;
        Ok(Response::new(v1::Connection {
            url: connection.url().expose_secret().to_owned(),
            host: connection.host,
            port: connection.port.into(),
            database: connection.database,
            username: connection.username,
            password: connection.password.expose_secret().to_owned(),
        }))
    }
}
