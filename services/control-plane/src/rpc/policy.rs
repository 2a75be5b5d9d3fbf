//! `PolicyService`.

use tonic::{Request, Response};
use yuantus_domain::{Error, Result, TenantId, id::Area};
use yuantus_identity::entity::policy::Model;
use yuantus_proto::v1::{self, policy_service_server::PolicyService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::App;

/// Serves policies.
#[derive(Clone)]
pub struct Policies(pub App);

fn shown(row: Model) -> v1::Policy {
    v1::Policy {
        tenant_id: row.tenant_id,
        area: row.area,
        version: row.version,
        policy: Some(convert::structure(row.policy)),
        created_at: convert::time(row.created_at),
        created_by: row.created_by,
    }
}

fn version(field: &'static str, version: i32) -> Result<Option<i32>> {
    match version {
        0 => Ok(None),
        1.. => Ok(Some(version)),
        _ => Err(Error::invalid(field, "must not be negative")),
    }
}

#[tonic::async_trait]
impl PolicyService for Policies {
    async fn get_policy(&self, request: Request<v1::GetPolicyRequest>) -> Answer<v1::Policy> {
        let request = request.get_ref();
        let tenant = TenantId::parse("tenant_id", &request.tenant_id).map_err(status)?;
        let area = Area::parse("area", &request.area).map_err(status)?;
        let version = version("version", request.version).map_err(status)?;
        let found = self.0.get_policy(&tenant, &area, version).await.map_err(status)?;
        Ok(Response::new(shown(found)))
    }

    async fn update_policy(&self, request: Request<v1::UpdatePolicyRequest>) -> Answer<v1::Policy> {
        let request = request.into_inner();
        let tenant = TenantId::parse("tenant_id", &request.tenant_id).map_err(status)?;
        let area = Area::parse("area", &request.area).map_err(status)?;
        let expected = version("expected_version", request.expected_version).map_err(status)?;
        let policy = request.policy.map(serde_json::to_value).transpose().map_err(Error::internal);
        let policy = policy.map_err(status)?.unwrap_or_default();
        let changed = self.0.update_policy(&tenant, &area, policy, expected).await;
        Ok(Response::new(shown(changed.map_err(status)?)))
    }
}
