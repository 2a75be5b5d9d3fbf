//! `yuantus db grant`: lets API and workers use the identity database as a
//! role that cannot change or delete the audit trail.

use clap::Args;
use yuantus_config::Config;
use yuantus_identity::{connect, grants};

use crate::{failure::Failure, output::note, run::refused};

/// Options of `db grant`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The role, which has to be there and must not own the database
    role: String,
}

impl Options {
    /// Grants it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let failed = |error| Failure::local("grant", error);
        let url = config.identity_url().map_err(refused)?;
        let db = connect(&url, 1, "yuantus:db").map_err(failed)?;
        grants::grant(&db, &self.role).await.map_err(failed)?;
        note(&format!(
            "{} may serve as the role of identity.database_url, except for `yuantus db`",
            self.role
        ));
        Ok(())
    }
}
