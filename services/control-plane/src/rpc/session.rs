//! `SessionService`.

use tonic::{Request, Response};
use yuantus_domain::PageSize;
use yuantus_proto::v1::{self, session_service_server::SessionService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{App, Page};

/// Serves sessions.
#[derive(Clone)]
pub struct Sessions(pub App);

fn listed(page: Page<yuantus_identity::entity::session::Model>) -> v1::ListSessionsResponse {
    let page = page.map(convert::session);
    v1::ListSessionsResponse { items: page.items, next_page_token: page.next }
}

#[tonic::async_trait]
impl SessionService for Sessions {
    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Answer<v1::ListSessionsResponse> {
        let request = request.get_ref();
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let page = self.0.list_own_sessions(size, &request.page_token).await.map_err(status)?;
        Ok(Response::new(listed(page)))
    }

    async fn revoke_session(
        &self,
        request: Request<v1::RevokeSessionRequest>,
    ) -> Answer<v1::RevokeSessionResponse> {
        let id = convert::uuid("session_id", &request.get_ref().session_id).map_err(status)?;
        self.0.revoke_own_session(id).await.map_err(status)?;
        Ok(Response::new(v1::RevokeSessionResponse {}))
    }

    async fn list_user_sessions(
        &self,
        request: Request<v1::ListUserSessionsRequest>,
    ) -> Answer<v1::ListSessionsResponse> {
        let request = request.get_ref();
        let tenant = convert::tenant_id(&request.tenant_id).map_err(status)?;
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let (user, token) = (request.user_id, &request.page_token);
        let page = self.0.list_user_sessions(&tenant, user, size, token).await.map_err(status)?;
        Ok(Response::new(listed(page)))
    }

    async fn revoke_user_sessions(
        &self,
        request: Request<v1::RevokeUserSessionsRequest>,
    ) -> Answer<v1::RevokeUserSessionsResponse> {
        let request = request.get_ref();
        let tenant = convert::tenant_id(&request.tenant_id).map_err(status)?;
        let one = match request.session_id.as_str() {
            "" => None,
            id => Some(convert::uuid("session_id", id).map_err(status)?),
        };
        let ended = self.0.revoke_user_sessions(&tenant, request.user_id, one).await;
        let ended = convert::count(ended.map_err(status)?);
        Ok(Response::new(v1::RevokeUserSessionsResponse { ended }))
    }
}
