//! `AuthService`.

use secrecy::ExposeSecret;
use tonic::{Request, Response};
use yuantus_auth::caller;
use yuantus_domain::{
    Email, Error, OrgId, OrgStatus, PageSize, Result, TenantId, Username, id::PLATFORM,
};
use yuantus_proto::v1::{self, auth_service_server::AuthService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{
    App,
    auth::{Login, Who},
};

/// Serves logins.
#[derive(Clone)]
pub struct Auth(pub App);

/// The tenant to log in to: the one the request names, otherwise its host's.
/// At a tenant's host nobody logs in to another.
fn tenant(named: &str) -> Result<TenantId> {
    let host = caller::tenant().ok();
    if named.is_empty()
        && let Some(host) = host
    {
        return Ok(host);
    }
    let tenant = TenantId::parse("tenant_id", named)?;
    if host.is_some_and(|host| host != tenant) {
        let message = "this host is another tenant's".to_owned();
        return Err(Error::PermissionDenied { reason: "TENANT_MISMATCH", message });
    }
    Ok(tenant)
}

fn who(username: &str, email: &str) -> Result<Who> {
    match (username, email) {
        (name, "") => Username::parse("username", name).map(Who::Name),
        ("", email) => Email::parse("email", email).map(Who::Address),
        _ => Err(Error::invalid("email", "must not be given beside username")),
    }
}

fn tokens(login: Login) -> v1::LoginResponse {
    v1::LoginResponse {
        access_token: login.token.expose_secret().to_owned(),
        token_type: "bearer".into(),
        expires_in: i32::try_from(login.good_for.as_secs()).unwrap_or(i32::MAX),
        refresh_token: login.refresh_token().to_owned(),
        tenant_id: login.principal.tenant,
        user_id: login.principal.user_id,
    }
}

#[tonic::async_trait]
impl AuthService for Auth {
    async fn login(&self, request: Request<v1::LoginRequest>) -> Answer<v1::LoginResponse> {
        let request = request.into_inner();
        let tenant = tenant(&request.tenant_id).map_err(status)?;
        let who = who(&request.username, &request.email).map_err(status)?;
        let password = convert::password("password", request.password).map_err(status)?;
        let org = match request.org_id.as_str() {
            "" => None,
            id => Some(OrgId::parse("org_id", id).map_err(status)?),
        };
        let login = self.0.login(&tenant, &who, &password, org).await.map_err(status)?;
        Ok(Response::new(tokens(login)))
    }

    async fn login_to_platform(
        &self,
        request: Request<v1::LoginToPlatformRequest>,
    ) -> Answer<v1::LoginResponse> {
        let request = request.into_inner();
        let tenant = tenant(PLATFORM).map_err(status)?;
        let who = who(&request.username, &request.email).map_err(status)?;
        let password = convert::password("password", request.password).map_err(status)?;
        let login = self.0.login(&tenant, &who, &password, None).await.map_err(status)?;
        Ok(Response::new(tokens(login)))
    }

    async fn list_own_orgs(
        &self,
        request: Request<v1::ListOwnOrgsRequest>,
    ) -> Answer<v1::ListOwnOrgsResponse> {
        let request = request.get_ref();
        let size = PageSize::parse_or_all(request.page_size).map_err(status)?;
        let (tenant, page) =
            self.0.list_own_orgs(size, &request.page_token).await.map_err(status)?;
        let principal = caller::principal().map_err(status)?;
        let page = page.map(|org| v1::OwnOrg {
            is_active: org.status == OrgStatus::Active.as_str(),
            id: org.id,
            name: org.name,
        });
        Ok(Response::new(v1::ListOwnOrgsResponse {
            tenant_id: tenant.map_or(principal.tenant, String::from),
            user_id: principal.user_id,
            orgs: page.items,
            next_page_token: page.next,
        }))
    }

    async fn switch_org(
        &self,
        request: Request<v1::SwitchOrgRequest>,
    ) -> Answer<v1::LoginResponse> {
        let org = OrgId::parse("org_id", &request.get_ref().org_id).map_err(status)?;
        let login = self.0.switch_org(org).await.map_err(status)?;
        Ok(Response::new(tokens(login)))
    }

    async fn refresh_token(
        &self,
        request: Request<v1::RefreshTokenRequest>,
    ) -> Answer<v1::LoginResponse> {
        let token = request.into_inner().refresh_token;
        if token.is_empty() {
            return Err(status(Error::invalid("refresh_token", "must not be empty")));
        }
        let login = self.0.refresh(&token.into()).await.map_err(status)?;
        Ok(Response::new(tokens(login)))
    }

    async fn logout(&self, _request: Request<v1::LogoutRequest>) -> Answer<v1::LogoutResponse> {
        self.0.logout().await.map_err(status)?;
        Ok(Response::new(v1::LogoutResponse {}))
    }

    async fn change_password(
        &self,
        request: Request<v1::ChangePasswordRequest>,
    ) -> Answer<v1::ChangePasswordResponse> {
        let request = request.into_inner();
        let current =
            convert::password("current_password", request.current_password).map_err(status)?;
        let new = convert::password("password", request.password).map_err(status)?;
        self.0.change_password(&current, &new).await.map_err(status)?;
        Ok(Response::new(v1::ChangePasswordResponse {}))
    }

    async fn get_me(&self, _request: Request<v1::GetMeRequest>) -> Answer<v1::Me> {
        let me = self.0.me().await.map_err(status)?;
        Ok(Response::new(v1::Me {
            tenant_id: me.principal.tenant,
            org_id: me.org.map(String::from).unwrap_or_default(),
            user_id: me.principal.user_id,
            username: me.principal.username,
            email: me.email,
            roles: me.roles,
        }))
    }
}
