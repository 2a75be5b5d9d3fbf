//! `yuantus db break-glass`: a platform administrator for a while, where
//! nobody can log in any more. Whoever can write to the identity database and
//! knows the secret that signs tokens may open one; the audit trail says why.

use std::time::Duration;

use clap::Args;
use secrecy::ExposeSecret;
use uuid::Uuid;
use yuantus_config::Config;
use yuantus_control_plane::app::owner::{break_glass, end_break_glass};

use crate::{
    failure::Failure,
    output::{note, text},
    run::{
        api,
        keys::{prove_if_set, prove_tokens},
    },
};

/// Options of `db break-glass`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Why; the audit trail keeps it
    #[arg(long, value_name = "TEXT", required_unless_present = "end")]
    reason: Option<String>,
    /// End the session of this id before its time instead
    #[arg(long, value_name = "SESSION", conflicts_with_all = ["reason", "minutes"])]
    end: Option<Uuid>,
    /// How many minutes the token is good for
    #[arg(long, value_name = "MINUTES", default_value_t = 15,
        value_parser = clap::value_parser!(u64).range(1..=240))]
    minutes: u64,
}

impl Options {
    /// Opens the session and writes its token to stdout.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let failed = |error| Failure::local("break the glass", error);
        let db = super::open(config).await?;
        if let Some(session) = self.end {
            end_break_glass(&db, session).await.map_err(failed)?;
            note(&format!("session {session} has ended"));
            return Ok(());
        }
        let good_for = Duration::from_secs(self.minutes * 60);
        let tokens = api::tokens(config).map_err(|error| failed(error.into()))?;
        prove_if_set(config, &db).await?;
        prove_tokens(&db, &tokens).await?;
        let reason = self.reason.unwrap_or_default();
        let (session, token) =
            break_glass(&db, &tokens, &reason, good_for).await.map_err(failed)?;
        note(&format!(
            "a platform administrator's, for {} minutes; `yuantus db break-glass --end {session}` \
             ends it before",
            self.minutes
        ));
        text(&format!("{}\n", token.expose_secret()))
    }
}
