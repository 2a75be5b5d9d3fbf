//! `yuantus login`. The password comes from a prompt or from stdin, never from
//! the arguments.

use std::io::{IsTerminal, stdin};

use clap::Args;
use yuantus_proto::v1::LoginRequest;

use crate::{
    cli::{Global, session::server},
    client::Client,
    failure::Failure,
    output::note,
    profile::{self, Profile, Profiles},
};

/// Options of `login`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Tenant to log in to; `platform` for platform administrators
    #[arg(long, default_value = "platform")]
    tenant: String,
    /// Org to work in
    #[arg(long, default_value = "", hide_default_value = true)]
    org: String,
    /// User to log in as
    #[arg(short, long, default_value = "admin")]
    username: String,
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
}

impl Options {
    /// Logs in and keeps the token.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let path = profile::default_path()?;
        let profiles = Profiles::read(&path)?;
        let server = server(global, profiles.get(&global.profile));
        let client = Client::new(&server, None, &global.trust)?;
        let request = LoginRequest {
            tenant_id: self.tenant.clone(),
            username: self.username.clone(),
            password: self.password(&server)?,
            org_id: self.org.clone(),
            email: String::new(),
        };
        let answer = client.auth().login(request).await.map_err(|status| client.refused(status))?;
        let answer = answer.into_inner();
        let (tenant, username) = (self.tenant, self.username);
        note(&format!(
            "logged in to {server} as {tenant}/{username}, for {}",
            indicatif::HumanDuration(std::time::Duration::from_secs(
                answer.expires_in.unsigned_abs().into()
            ))
        ));
        let server = client.server().to_owned();
        let mut profile = Profile { server, tenant, username, ..Profile::default() };
        profile.keep(answer);
        profiles.put(&path, &global.profile, profile)
    }

    fn password(&self, server: &str) -> Result<String, Failure> {
        let of = format!("{}/{} at {server}", self.tenant, self.username);
        read_password(self.password_stdin, &of)
    }
}

/// Reads a password from stdin, or asks for that `of` somebody.
pub(super) fn read_password(from_stdin: bool, of: &str) -> Result<String, Failure> {
    let unread = |error| Failure::local("read the password", error);
    if from_stdin {
        let mut line = String::new();
        stdin().read_line(&mut line).map_err(unread)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    if !stdin().is_terminal() {
        let message = "there is no terminal to ask for a password: use --password-stdin";
        return Err(Failure::Usage(message.into()));
    }
    rpassword::prompt_password(format!("Password of {of}: ")).map_err(unread)
}

/// Reads the password of a user to be made: from a prompt where there is a
/// terminal, otherwise from stdin.
pub(super) fn read_new_password(from_stdin: bool, of: &str) -> Result<String, Failure> {
    read_password(from_stdin || !stdin().is_terminal(), of)
}
