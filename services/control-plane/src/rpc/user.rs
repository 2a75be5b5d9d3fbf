//! `UserService`.

use tonic::{Request, Response};
use yuantus_domain::{Email, PageSize, Result, Username};
use yuantus_proto::v1::{self, user_service_server::UserService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{
    App,
    user::{CreateUser, UpdateUser},
};

/// Serves users.
#[derive(Clone)]
pub struct Users(pub App);

fn parse_create(request: v1::CreateUserRequest) -> Result<CreateUser> {
    let tenant = convert::tenant_id(&request.tenant_id)?;
    let username = Username::parse("username", &request.username)?;
    Ok(CreateUser {
        tenant,
        username,
        password: convert::password("password", request.password)?,
        email: Email::parse_optional("email", &request.email)?,
        is_superuser: request.is_superuser,
        id: (request.user_id != 0).then_some(request.user_id),
    })
}

fn parse_update(request: &v1::UpdateUserRequest) -> Result<UpdateUser> {
    let email = request.email.as_deref();
    Ok(UpdateUser {
        email: email.map(|email| Email::parse_optional("email", email)).transpose()?,
        is_active: request.is_active,
        is_superuser: request.is_superuser,
        name: request.name.clone(),
    })
}

#[tonic::async_trait]
impl UserService for Users {
    async fn create_user(&self, request: Request<v1::CreateUserRequest>) -> Answer<v1::User> {
        let request = request.into_inner();
        let name = request.name.clone();
        let asked = parse_create(request).map_err(status)?;
        let created = self.0.create_user(asked, &name).await.map_err(status)?;
        Ok(Response::new(convert::user(created).map_err(status)?))
    }

    async fn get_user(&self, request: Request<v1::GetUserRequest>) -> Answer<v1::User> {
        let request = request.get_ref();
        let tenant = convert::tenant_id(&request.tenant_id).map_err(status)?;
        let found = self.0.get_user(&tenant, request.user_id).await.map_err(status)?;
        Ok(Response::new(convert::user(found).map_err(status)?))
    }

    async fn list_users(
        &self,
        request: Request<v1::ListUsersRequest>,
    ) -> Answer<v1::ListUsersResponse> {
        let request = request.into_inner();
        let tenant = convert::tenant_id(&request.tenant_id).map_err(status)?;
        let size = PageSize::parse_or_all(request.page_size).map_err(status)?;
        let listed = self.0.list_users(&tenant, size, &request.page_token).await;
        let listed = listed.map_err(status)?;
        let items = listed.page.items.into_iter().map(convert::user).collect::<Result<_>>();
        Ok(Response::new(v1::ListUsersResponse {
            items: items.map_err(status)?,
            total: convert::count(listed.total),
            next_page_token: listed.page.next,
        }))
    }

    async fn update_user(&self, request: Request<v1::UpdateUserRequest>) -> Answer<v1::User> {
        let request = request.get_ref();
        let tenant = convert::tenant_id(&request.tenant_id).map_err(status)?;
        let asked = parse_update(request).map_err(status)?;
        let updated = self.0.update_user(&tenant, request.user_id, asked).await.map_err(status)?;
        Ok(Response::new(convert::user(updated).map_err(status)?))
    }

    async fn delete_user(
        &self,
        request: Request<v1::DeleteUserRequest>,
    ) -> Answer<v1::DeleteUserResponse> {
        let request = request.get_ref();
        let tenant = convert::tenant_id(&request.tenant_id).map_err(status)?;
        self.0.delete_user(&tenant, request.user_id).await.map_err(status)?;
        Ok(Response::new(v1::DeleteUserResponse {}))
    }

    async fn reset_password(&self, request: Request<v1::ResetPasswordRequest>) -> Answer<v1::User> {
        let request = request.into_inner();
        let tenant = convert::tenant_id(&request.tenant_id).map_err(status)?;
        let password = convert::password("password", request.password).map_err(status)?;
        let user = self.0.reset_password(&tenant, request.user_id, &password).await;
        Ok(Response::new(user.and_then(convert::user).map_err(status)?))
    }
}
