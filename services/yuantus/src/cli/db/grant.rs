//! `yuantus db grant`: lets API and workers use the identity database as a
//! role that cannot change or delete the audit trail.

use clap::Args;
use yuantus_config::Config;
use yuantus_identity::grants;

use crate::{failure::Failure, output::note};

/// Options of `db grant`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The role, which has to be there. Refused is the one that owns the
    /// identity database, a superuser, and the role that this program logs in
    /// as now: who serves as such a one is locked out, or not kept out
    role: String,
}

impl Options {
    /// Grants it.
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let failed = |error| Failure::local("grant", error);
        let db = super::open(config).await?;
        grants::grant(&db, &self.role).await.map_err(failed)?;
        note(&format!(
            "{} may serve as the role of identity.database_url, except for `yuantus db`",
            self.role
        ));
        Ok(())
    }
}
