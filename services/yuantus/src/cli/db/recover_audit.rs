//! `yuantus db recover-audit`: goes on with audit trails whose newest checkpoints
//! the identity database lost, as after it was restored from a dump. Whoever has
//! the key that signs them may say so; the trail keeps it.

use clap::Args;
use serde::Serialize;
use serde_json::json;
use yuantus_audit::Signing;
use yuantus_config::{Config, Purpose};
use yuantus_domain::TenantId;
use yuantus_identity::query::{audit_chain, audit_log::Entry};

use crate::{
    cli::arguments::tenant_id,
    failure::Failure,
    output::{Format, Output, Show, note},
    run::{keys::Keys, refused, store},
};

/// Options of `db recover-audit`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only this tenant's trail, or `platform`'s; all if not given
    #[arg(long, value_parser = tenant_id)]
    tenant: Option<TenantId>,
}

/// A trail that goes on.
#[derive(Serialize)]
struct Recovered {
    tenant_id: String,
    /// The number of the last checkpoint that is there; 0 where there is none.
    checkpoint: i64,
    /// The number of the last one that was lost.
    lost_checkpoint: i64,
}

impl Options {
    /// Recovers.
    pub(super) async fn run(self, config: &Config, output: Output) -> Result<(), Failure> {
        let failed = |error| Failure::local("recover the audit trail", error);
        config.require(Purpose::Worker).map_err(refused)?;
        let keys = Keys::new(&config.secrets)?;
        let local = |error| Failure::local("use the identity database", error);
        let db = super::open(config).await?;
        keys.prove(&db).await?;
        let store = store(config);
        let interval = i64::from(config.audit.checkpoint_interval_seconds);
        let with = Signing { db: &db, signer: &keys.signer, store: &store, interval };
        let tenants = match self.tenant {
            Some(tenant) => vec![tenant.to_string()],
            None => audit_chain::tenants(&db).await.map_err(local)?,
        };
        let by = Entry { actor: "console".to_owned(), details: json!({}), ..Entry::default() };
        let mut recovered = Vec::new();
        for tenant_id in tenants {
            let found = yuantus_audit::recover(with, &tenant_id, &by).await.map_err(failed)?;
            recovered.extend(found.map(|(checkpoint, lost_checkpoint)| Recovered {
                tenant_id,
                checkpoint,
                lost_checkpoint,
            }));
        }
        if recovered.is_empty() && output.format() == Format::Table {
            note("no trail has lost a checkpoint");
            return Ok(());
        }
        output.list(&recovered)
    }
}

impl Show for Recovered {
    const COLUMNS: &'static [&'static str] = &["TENANT", "CHECKPOINT", "LOST"];

    fn cells(&self) -> Vec<String> {
        let numbers = [self.checkpoint, self.lost_checkpoint].map(|number| number.to_string());
        [self.tenant_id.clone()].into_iter().chain(numbers).collect()
    }

    fn name(&self) -> String {
        self.tenant_id.clone()
    }
}
