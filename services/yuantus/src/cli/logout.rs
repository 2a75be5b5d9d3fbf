//! `yuantus logout`.

use clap::Args;
use tonic::Code;
use yuantus_proto::v1::LogoutRequest;

use crate::{
    cli::{Global, renew::current_token},
    client::Client,
    failure::Failure,
    output::note,
    profile::{self, Profiles},
};

/// Options of `logout`.
#[derive(Args, Debug)]
pub(crate) struct Options {}

impl Options {
    /// Ends the profile's session, and forgets its tokens whatever the server
    /// says.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let path = profile::default_path()?;
        let name = &global.profile;
        let Some(profile) = Profiles::read(&path)?.get(name).cloned() else {
            return Err(Failure::Usage(format!("there is no profile `{name}`")));
        };
        if profile.token.is_empty() {
            note(&format!("not logged in to {}", profile.server));
            return Ok(());
        }
        let token = current_token(&path, name, &profile, &global.trust).await?;
        let client = Client::new(&profile.server, Some(&token), &global.trust)?;
        let ended = client.auth().logout(LogoutRequest {}).await;
        let mut forgotten = profile;
        forgotten.token.clear();
        forgotten.refresh_token.clear();
        let server = forgotten.server.clone();
        Profiles::read(&path)?.put(&path, name, forgotten)?;
        match ended {
            // It was over before.
            Err(status) if status.code() != Code::Unauthenticated => Err(client.refused(status)),
            _ => {
                note(&format!("logged out of {server}"));
                Ok(())
            }
        }
    }
}
