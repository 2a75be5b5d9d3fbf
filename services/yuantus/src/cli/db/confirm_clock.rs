//! `yuantus db confirm-clock`: a person says that the identity database's clock
//! is right, after it has jumped.

use clap::Args;
use yuantus_config::Config;
use yuantus_control_plane::app::clock::confirm;
use yuantus_identity::connect;

use crate::{failure::Failure, output::note, run::refused};

/// Options of `db confirm-clock`.
#[derive(Args, Debug)]
pub(crate) struct Options {}

impl Options {
    /// Confirms it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let url = config.identity_url().map_err(refused)?;
        let db = connect(&url, 1, "yuantus:db")
            .map_err(|error| Failure::local("use the identity database", error))?;
        let confirmed = confirm(&db).await;
        let (at, doubt) = confirmed.map_err(|error| Failure::local("confirm the clock", error))?;
        if doubt.is_empty() {
            note(&format!("the identity database's clock says {at}; it was not doubted"));
        } else {
            note(&format!(
                "the identity database's clock says {at}, and is believed again: {doubt}"
            ));
        }
        Ok(())
    }
}
