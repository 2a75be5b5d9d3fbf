//! `yuantus db create-admin`: the first platform administrator, or one more.
//! Whoever can write to the identity database may make one.

use clap::Args;
use yuantus_auth::{Passwords, policy::Policy};
use yuantus_config::{Config, Environment};
use yuantus_control_plane::app::auth::ensure_platform_admin;
use yuantus_domain::Username;

use crate::{cli::login::read_password, failure::Failure, output::note, run::keys::prove_if_set};

/// Options of `db create-admin`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The administrator's name
    username: String,
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
}

impl Options {
    /// Makes the administrator, unless there is one of that name.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let failed = |error| Failure::local("make the platform administrator", error);
        let username = Username::parse("username", &self.username).map_err(failed)?;
        let db = super::open(config).await?;
        prove_if_set(config, &db).await?;
        let of = format!("platform/{}", self.username);
        let password = read_password(self.password_stdin, &of)?.into();
        let passwords = Passwords::new().map_err(|error| failed(error.into()))?;
        let policy = Policy::of(match config.environment {
            Environment::Dev => "dev",
            Environment::Production => "production",
        });
        let made = ensure_platform_admin(&db, &passwords, policy, &username, &password).await;
        if !made.map_err(failed)? {
            let message = format!("there is a platform administrator `{}` already", self.username);
            return Err(Failure::local("make the platform administrator", message));
        }
        note(&format!("platform/{} may log in now", self.username));
        Ok(())
    }
}
