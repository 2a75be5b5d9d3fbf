//! `AuthService`.

use secrecy::ExposeSecret;
use tonic::{Request, Response};
use yuantus_domain::{Error, OrgId, Result, TenantId, Username};
use yuantus_proto::v1::{self, auth_service_server::AuthService};

use super::status::{Answer, status};
use crate::app::{App, auth::Login};

/// Serves logins.
#[derive(Clone)]
pub struct Auth(pub App);

fn parse(request: &v1::LoginRequest) -> Result<(TenantId, Username, Option<OrgId>)> {
    let org = match request.org_id.as_str() {
        "" => None,
        id => Some(OrgId::parse("org_id", id)?),
    };
    if request.password.is_empty() {
        return Err(Error::invalid("password", "must not be empty"));
    }
    let tenant = TenantId::parse("tenant_id", &request.tenant_id)?;
    Ok((tenant, Username::parse("username", &request.username)?, org))
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
        let (tenant, username, org) = parse(&request).map_err(status)?;
        let password = request.password.into();
        let login = self.0.login(tenant.as_str(), username.as_str(), &password, org).await;
        Ok(Response::new(tokens(login.map_err(status)?)))
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

    async fn get_me(&self, _request: Request<v1::GetMeRequest>) -> Answer<v1::Me> {
        let (principal, email) = self.0.me().await.map_err(status)?;
        Ok(Response::new(v1::Me {
            tenant_id: principal.tenant,
            org_id: principal.org.map(|org| org.to_string()).unwrap_or_default(),
            user_id: principal.user_id,
            username: principal.username,
            email,
            roles: principal.roles.iter().map(ToString::to_string).collect(),
        }))
    }
}
