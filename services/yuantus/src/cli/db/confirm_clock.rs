//! `yuantus db confirm-clock`: a person says that the identity database's clock
//! is right, after it has jumped.

use clap::Args;
use yuantus_config::Config;
use yuantus_control_plane::app::clock::confirm;

use crate::{failure::Failure, output::note};

/// Options of `db confirm-clock`.
#[derive(Args, Debug)]
pub(crate) struct Options {}

impl Options {
    /// Confirms it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let db = super::open(config).await?;
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
