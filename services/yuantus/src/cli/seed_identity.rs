//! `yuantus seed-identity`: a tenant, an org and a user, at the server's
//! console. What is there already stays; what is missing is made.

use std::path::Path;

use clap::Args;
use secrecy::SecretString;
use yuantus_config::Purpose;
use yuantus_control_plane::app::{
    App,
    member::Who,
    org::CreateOrg,
    tenant::CreateTenant,
    user::{CreateUser, UpdateUser},
};
use yuantus_domain::{Error, OrgId, OrgKey, OrgRole, Plan, Result, TenantId, Username};

use super::login::read_password;
use crate::{
    failure::Failure,
    output::note,
    run::{at_console, load_config},
};

/// Options of `seed-identity`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The tenant's id
    #[arg(long, value_name = "ID")]
    tenant: String,
    /// The org's id
    #[arg(long, value_name = "ID")]
    org: String,
    /// The user's name
    #[arg(long, value_name = "NAME")]
    username: String,
    /// The password of a user who has to be made. Other users of this machine
    /// can see it while the command runs: --password-stdin hides it
    #[arg(long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// The id of a user who has to be made
    #[arg(long, value_name = "ID")]
    user_id: Option<i32>,
    /// The user's roles in the org, separated by commas
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<String>,
    /// Let the user administer the tenant
    #[arg(long)]
    superuser: bool,
}

/// What is to be there.
struct Seed {
    key: OrgKey,
    username: Username,
    password: SecretString,
    user_id: Option<i32>,
    roles: Vec<OrgRole>,
    superuser: bool,
}

impl Options {
    /// Makes what is missing.
    pub(crate) async fn run(self, file: Option<&Path>) -> std::result::Result<(), Failure> {
        let failed = |error| Failure::local("seed", error);
        let seed = self.seed()?;
        let config = load_config(file, Purpose::Api, &[])?;
        at_console(&config, async |app| seed.plant(app).await.map_err(failed)).await
    }

    fn seed(self) -> std::result::Result<Seed, Failure> {
        let parse = || -> Result<_> {
            let roles = self.roles.iter().filter(|role| !role.is_empty());
            Ok((
                OrgKey {
                    tenant: TenantId::parse_new("tenant", &self.tenant)?,
                    org: OrgId::parse_new("org", &self.org)?,
                },
                Username::parse("username", &self.username)?,
                roles.map(|role| OrgRole::parse("roles", role)).collect::<Result<_>>()?,
            ))
        };
        let (key, username, roles) = parse().map_err(|error| Failure::local("seed", error))?;
        let password = match self.password {
            Some(password) => password,
            None => read_password(
                self.password_stdin,
                &format!("{}/{}", self.tenant, username.as_str()),
            )?,
        };
        Ok(Seed {
            key,
            username,
            password: password.into(),
            user_id: self.user_id,
            roles,
            superuser: self.superuser,
        })
    }
}

impl Seed {
    async fn plant(self, app: &App) -> Result<()> {
        let tenant = &self.key.tenant;
        let new = CreateTenant {
            id: tenant.clone(),
            name: String::new(),
            plan: Plan::Basic,
            admin: None,
            idempotency: None,
        };
        say(&format!("tenant {tenant}"), app.create_tenant(new).await)?;
        let new = CreateOrg { key: self.key.clone(), name: String::new(), idempotency: None };
        say(&format!("org {}", self.key), app.create_org(new).await)?;
        let user = self.user(app).await?;
        let who = Who::Id(user);
        let member = app.add_member(&self.key, &who, self.roles, true).await;
        say(&format!("member {} of {}", self.username.as_str(), self.key), member)
    }

    /// The user's id.
    async fn user(&self, app: &App) -> Result<i32> {
        let tenant = &self.key.tenant;
        let new = CreateUser {
            tenant: tenant.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            email: None,
            is_superuser: self.superuser,
            id: self.user_id,
        };
        let made = app.create_user(new, "").await;
        let what = format!("user {}", self.username.as_str());
        match made {
            Ok(user) => {
                note(&format!("{what}: made"));
                Ok(user.id)
            }
            Err(error @ Error::AlreadyExists { .. }) => {
                let Some(user) = app.find_user(tenant, &self.username).await? else {
                    return Err(error);
                };
                note(&format!("{what}: there, with the password it has"));
                if self.superuser {
                    let update = UpdateUser { is_superuser: Some(true), ..UpdateUser::default() };
                    app.update_user(tenant, user.id, update).await?;
                }
                Ok(user.id)
            }
            Err(error) => Err(error),
        }
    }
}

fn say<T>(what: &str, made: Result<T>) -> Result<()> {
    match made {
        Ok(_) => note(&format!("{what}: made")),
        Err(Error::AlreadyExists { .. }) => note(&format!("{what}: there")),
        Err(error) => return Err(error),
    }
    Ok(())
}
