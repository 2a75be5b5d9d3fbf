//! `yuantus db release`: ends recovery mode, once a person has looked at what
//! `yuantus doctor` lists.

use clap::Args;
use yuantus_config::Config;

use crate::{failure::Failure, output::note, run::at_console};

/// Options of `db release`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Why; the audit trail keeps it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Take the bucket that is configured now for this control plane's, though
    /// it is not the one that was used before
    #[arg(long)]
    mark_bucket: bool,
}

impl Options {
    /// Ends it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let failed = |error| Failure::local("end recovery mode", error);
        let release = async |app: &yuantus_control_plane::app::App| {
            app.release(&self.reason, self.mark_bucket).await.map_err(failed)
        };
        let Some(released) = at_console(config, release).await? else {
            note("identity database and server agree, and no operation is parked: nothing to end");
            return Ok(());
        };
        note(&format!("recovery mode has ended; {} operations go on", released.resumed));
        for id in released.cancelled {
            note(&format!(
                "restore {id} was cancelled: whether it was done before is not known; \
                 `yuantus op retry {id}` starts it"
            ));
        }
        Ok(())
    }
}
