//! `TenantService`.

use tonic::{Request, Response};
use yuantus_auth::caller;
use yuantus_domain::{Error, PageSize, Plan, Result, TenantId, Username};
use yuantus_proto::v1::{self, tenant_service_server::TenantService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{
    App,
    tenant::{Administrator, CreateTenant, UpdateTenant},
};

/// Serves tenants.
#[derive(Clone)]
pub struct Tenants(pub App);

fn parse_email(email: String) -> Result<String> {
    if email.len() > 254 || email.chars().any(char::is_control) {
        let rule = "must have at most 254 characters and no control ones";
        return Err(Error::invalid("admin_email", rule));
    }
    Ok(email)
}

fn parse_create(request: v1::CreateTenantRequest) -> Result<CreateTenant> {
    let admin = match (request.admin_username.as_str(), request.admin_password.as_str()) {
        ("", "") if request.admin_email.is_empty() => None,
        ("", "") => return Err(Error::invalid("admin_username", "is required with admin_email")),
        ("", _) => return Err(Error::invalid("admin_username", "is required with admin_password")),
        (username, _) => Some(Administrator {
            username: Username::parse("admin_username", username)?,
            password: request.admin_password.into(),
            email: parse_email(request.admin_email)?,
        }),
    };
    Ok(CreateTenant {
        id: TenantId::parse_new("id", &request.id)?,
        name: request.name,
        plan: Plan::parse(&request.plan)?,
        admin,
        idempotency: convert::idempotency(&request.request_id)?,
    })
}

fn parse_update(request: v1::UpdateTenantRequest) -> Result<UpdateTenant> {
    Ok(UpdateTenant {
        id: TenantId::parse("tenant_id", &request.tenant_id)?,
        name: request.name,
        is_active: request.is_active,
        plan: request.plan.as_deref().map(Plan::parse).transpose()?,
    })
}

#[tonic::async_trait]
impl TenantService for Tenants {
    async fn create_tenant(&self, request: Request<v1::CreateTenantRequest>) -> Answer<v1::Tenant> {
        let asked = parse_create(request.into_inner()).map_err(status)?;
        let created = self.0.create_tenant(asked).await.map_err(status)?;
        Ok(Response::new(convert::tenant(&created)))
    }

    async fn get_tenant(&self, request: Request<v1::GetTenantRequest>) -> Answer<v1::Tenant> {
        let id = TenantId::parse("tenant_id", &request.get_ref().tenant_id).map_err(status)?;
        let found = self.0.get_tenant(&id).await.map_err(status)?;
        Ok(Response::new(convert::tenant(&found)))
    }

    async fn get_current_tenant(
        &self,
        _: Request<v1::GetCurrentTenantRequest>,
    ) -> Answer<v1::Tenant> {
        let facts = caller::tenant_facts().map_err(status)?;
        Ok(Response::new(convert::tenant(&facts)))
    }

    async fn update_tenant(&self, request: Request<v1::UpdateTenantRequest>) -> Answer<v1::Tenant> {
        let asked = parse_update(request.into_inner()).map_err(status)?;
        let changed = self.0.update_tenant(asked).await.map_err(status)?;
        Ok(Response::new(convert::tenant(&changed)))
    }

    async fn list_tenants(
        &self,
        request: Request<v1::ListTenantsRequest>,
    ) -> Answer<v1::ListTenantsResponse> {
        let request = request.into_inner();
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let listed = self.0.list_tenants(size, &request.page_token, request.with_total).await;
        let listed = listed.map_err(status)?;
        Ok(Response::new(v1::ListTenantsResponse {
            tenants: listed.page.items.iter().map(convert::tenant).collect(),
            next_page_token: listed.page.next,
            total: convert::count(listed.total),
        }))
    }
}
