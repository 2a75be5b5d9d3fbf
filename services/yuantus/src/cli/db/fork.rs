//! `yuantus db fork`: gives a copy of an identity database a plane of its own,
//! so that it touches nothing of the original's.

use clap::Args;
use yuantus_config::Config;

use crate::{failure::Failure, output::note, run::at_console};

/// Options of `db fork`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Why; the audit trail keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Options {
    /// Forks it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let failed = |error| Failure::local("fork the plane", error);
        let fork = async |app: &yuantus_control_plane::app::App| {
            app.fork(&self.reason).await.map_err(failed)
        };
        let plane = at_console(config, fork).await?;
        note(&format!(
            "this copy is plane {plane} now: no database of the original is its own, and it \
             needs a bucket of its own"
        ));
        Ok(())
    }
}
