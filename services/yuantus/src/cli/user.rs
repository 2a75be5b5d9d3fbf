//! `yuantus user`. Passwords come from a prompt or from stdin, never from the
//! arguments.

use clap::{Args, Subcommand};
use yuantus_domain::TenantId;
use yuantus_proto::v1::{
    ChangePasswordRequest, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest,
    ResetPasswordRequest, UpdateUserRequest, User,
};

use crate::{
    cli::{Session, arguments::tenant_id, login::read_new_password, time::time},
    failure::Failure,
    output::{Show, note},
    paging::Paging,
};

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Record a user
    Create {
        /// The user's tenant; `platform` for platform administrators
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        /// The name to log in with
        username: String,
        /// The user's address
        #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
        email: String,
        /// The name people read
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Make an administrator of the tenant
        #[arg(long)]
        admin: bool,
        /// The user's id; the next free one if not given
        #[arg(long, value_name = "ID", default_value_t = 0, hide_default_value = true)]
        id: i32,
        /// Read the password from stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// Show a tenant's users
    List {
        /// The tenant's id
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one user
    Get(Which),
    /// Change a user
    Update {
        #[command(flatten)]
        which: Which,
        /// The new address; empty for none
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// The name people read; empty for none
        #[arg(long)]
        name: Option<String>,
        /// Whether the user may log in
        #[arg(long, value_name = "true|false")]
        active: Option<bool>,
        /// Whether the user administers the tenant
        #[arg(long, value_name = "true|false")]
        admin: Option<bool>,
    },
    /// Give a user another password, and log the user out everywhere
    ResetPassword {
        #[command(flatten)]
        which: Which,
        /// Read the password from stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give yourself another password, and log out everywhere
    ChangePassword {
        /// Read the present password from stdin, and the new one from its next line
        #[arg(long)]
        password_stdin: bool,
    },
    /// Delete a user with all memberships and sessions
    Delete(Which),
}

/// One user.
#[derive(Args, Clone, Debug)]
pub(crate) struct Which {
    /// The user's tenant
    #[arg(value_parser = tenant_id)]
    tenant: TenantId,
    /// The user's id
    user: i32,
}

impl Which {
    fn tenant_id(&self) -> String {
        self.tenant.to_string()
    }
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut users = session.client.users();
        match self {
            Self::Create { tenant, username, email, name, admin, id, password_stdin } => {
                let of = format!("{tenant}/{username}");
                let request = CreateUserRequest {
                    tenant_id: tenant.into(),
                    username,
                    password: read_new_password(password_stdin, &of)?,
                    email,
                    is_superuser: admin,
                    user_id: id,
                    name,
                };
                session.output.one(&session.answer(users.create_user(request).await)?)
            }
            Self::List { tenant, paging } => {
                let fetch = async |page_size, page_token| {
                    let tenant_id = tenant.to_string();
                    let request = ListUsersRequest { tenant_id, page_size, page_token };
                    let page = users.list_users(request).await?.into_inner();
                    Ok((page.items, page.next_page_token))
                };
                let all = paging.collect(fetch).await;
                session.output.list(&all.map_err(|status| session.client.refused(status))?)
            }
            Self::Get(which) => {
                let (tenant_id, user_id) = (which.tenant_id(), which.user);
                let request = GetUserRequest { tenant_id, user_id };
                session.output.one(&session.answer(users.get_user(request).await)?)
            }
            Self::Update { which, email, name, active, admin } => {
                let request = UpdateUserRequest {
                    tenant_id: which.tenant_id(),
                    user_id: which.user,
                    email,
                    is_active: active,
                    is_superuser: admin,
                    name,
                };
                session.output.one(&session.answer(users.update_user(request).await)?)
            }
            Self::ResetPassword { which, password_stdin } => {
                let of = format!("user {} of {}", which.user, which.tenant);
                let request = ResetPasswordRequest {
                    tenant_id: which.tenant_id(),
                    user_id: which.user,
                    password: read_new_password(password_stdin, &of)?,
                };
                session.output.one(&session.answer(users.reset_password(request).await)?)
            }
            Self::ChangePassword { password_stdin } => {
                let request = ChangePasswordRequest {
                    current_password: read_new_password(password_stdin, "yourself")?,
                    password: read_new_password(password_stdin, "yourself, from now on")?,
                };
                session.answer(session.client.auth().change_password(request).await)?;
                note("the password is changed; log in with it: all sessions have ended");
                Ok(())
            }
            Self::Delete(which) => {
                let (tenant_id, user_id) = (which.tenant_id(), which.user);
                let request = DeleteUserRequest { tenant_id, user_id };
                session.answer(users.delete_user(request).await)?;
                note(&format!("user {user_id} of {} is deleted", which.tenant));
                Ok(())
            }
        }
    }
}

impl Show for User {
    const COLUMNS: &'static [&'static str] =
        &["ID", "TENANT", "USERNAME", "EMAIL", "ROLES", "ACTIVE", "CREATED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.tenant_id.clone(),
            self.username.clone(),
            self.email.clone(),
            self.roles.join(","),
            if self.is_active { "yes" } else { "no" }.to_owned(),
            time(self.created_at.as_ref()),
        ]
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![("UPDATED", time(self.updated_at.as_ref()))]
    }
}
