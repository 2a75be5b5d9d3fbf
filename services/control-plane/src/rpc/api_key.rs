//! `ApiKeyService`.

use secrecy::ExposeSecret;
use tonic::{Request, Response};
use yuantus_auth::Role;
use yuantus_domain::{Error, OrgId, PageSize, Result, Username};
use yuantus_proto::v1::{self, api_key_service_server::ApiKeyService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{App, api_key::CreateApiKey};

/// Serves API keys.
#[derive(Clone)]
pub struct ApiKeys(pub App);

fn parse(request: &v1::CreateApiKeyRequest) -> Result<CreateApiKey> {
    let role = match request.role.as_str() {
        "" => Role::Member,
        name => Role::parse(name).ok_or_else(|| {
            Error::invalid("role", "must be member, tenant_admin or platform_admin")
        })?,
    };
    let org = match request.org_id.as_str() {
        "" => None,
        id => Some(OrgId::parse("org_id", id)?),
    };
    if request.ttl_seconds < 0 {
        return Err(Error::invalid("ttl_seconds", "must not be negative"));
    }
    Ok(CreateApiKey {
        tenant: convert::tenant_id(&request.tenant_id)?,
        name: Username::parse("name", &request.name)?,
        role,
        org,
        seconds: (request.ttl_seconds > 0).then_some(request.ttl_seconds.into()),
    })
}

#[tonic::async_trait]
impl ApiKeyService for ApiKeys {
    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Answer<v1::CreateApiKeyResponse> {
        let asked = parse(request.get_ref()).map_err(status)?;
        let (key, secret) = self.0.create_api_key(asked).await.map_err(status)?;
        Ok(Response::new(v1::CreateApiKeyResponse {
            api_key: Some(convert::api_key(key)),
            secret: secret.expose_secret().to_owned(),
        }))
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Answer<v1::ListApiKeysResponse> {
        let request = request.get_ref();
        let tenant = convert::tenant_id(&request.tenant_id).map_err(status)?;
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let page = self.0.list_api_keys(&tenant, size, &request.page_token).await;
        let page = page.map_err(status)?.map(convert::api_key);
        Ok(Response::new(v1::ListApiKeysResponse { items: page.items, next_page_token: page.next }))
    }

    async fn revoke_api_key(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Answer<v1::RevokeApiKeyResponse> {
        let request = request.get_ref();
        let tenant = convert::tenant_id(&request.tenant_id).map_err(status)?;
        let id = convert::uuid("api_key_id", &request.api_key_id).map_err(status)?;
        self.0.revoke_api_key(&tenant, id).await.map_err(status)?;
        Ok(Response::new(v1::RevokeApiKeyResponse {}))
    }
}
