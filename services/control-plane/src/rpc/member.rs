//! `MemberService`.

use tonic::{Request, Response};
use yuantus_domain::{Error, OrgId, OrgKey, OrgRole, PageSize, Result, Username};
use yuantus_identity::query::member::Change;
use yuantus_proto::v1::{self, member_service_server::MemberService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{App, member::Who};

/// Serves members.
#[derive(Clone)]
pub struct Members(pub App);

fn org_key(tenant: &str, org: &str) -> Result<OrgKey> {
    Ok(OrgKey { tenant: convert::tenant_id(tenant)?, org: OrgId::parse("org_id", org)? })
}

fn who(id: i32, name: &str) -> Result<Who> {
    match (id, name) {
        (0, "") => Err(Error::invalid("user_id", "is required, or username")),
        (id, "") => Ok(Who::Id(id)),
        (0, name) => Username::parse("username", name).map(Who::Name),
        (_, _) => Err(Error::invalid("username", "must not be given beside user_id")),
    }
}

#[tonic::async_trait]
impl MemberService for Members {
    async fn add_member(&self, request: Request<v1::AddMemberRequest>) -> Answer<v1::Member> {
        let request = request.into_inner();
        let key = org_key(&request.tenant_id, &request.org_id).map_err(status)?;
        let who = who(request.user_id, &request.username).map_err(status)?;
        let roles = OrgRole::parse_all("roles", &request.roles).map_err(status)?;
        let is_active = request.is_active.unwrap_or(true);
        let added = self.0.add_member(&key, &who, roles, is_active).await;
        Ok(Response::new(added.and_then(convert::member).map_err(status)?))
    }

    async fn list_members(
        &self,
        request: Request<v1::ListMembersRequest>,
    ) -> Answer<v1::ListMembersResponse> {
        let request = request.into_inner();
        let key = org_key(&request.tenant_id, &request.org_id).map_err(status)?;
        let size = PageSize::parse_or_all(request.page_size).map_err(status)?;
        let listed = self.0.list_members(&key, size, &request.page_token).await;
        let listed = listed.map_err(status)?;
        let items = listed.page.items.into_iter().map(convert::member).collect::<Result<_>>();
        Ok(Response::new(v1::ListMembersResponse {
            items: items.map_err(status)?,
            total: convert::count(listed.total),
            next_page_token: listed.page.next,
        }))
    }

    async fn update_member(&self, request: Request<v1::UpdateMemberRequest>) -> Answer<v1::Member> {
        let request = request.into_inner();
        let key = org_key(&request.tenant_id, &request.org_id).map_err(status)?;
        let roles = OrgRole::parse_all("roles", &request.roles).map_err(status)?;
        let roles = (!roles.is_empty()).then_some(roles);
        let change = Change { roles, is_active: request.is_active };
        let updated = self.0.update_member(&key, request.user_id, change).await;
        Ok(Response::new(updated.and_then(convert::member).map_err(status)?))
    }

    async fn remove_member(
        &self,
        request: Request<v1::RemoveMemberRequest>,
    ) -> Answer<v1::RemoveMemberResponse> {
        let request = request.get_ref();
        let key = org_key(&request.tenant_id, &request.org_id).map_err(status)?;
        self.0.remove_member(&key, request.user_id).await.map_err(status)?;
        Ok(Response::new(v1::RemoveMemberResponse {}))
    }
}
