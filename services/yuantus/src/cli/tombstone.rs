//! `yuantus tombstone`: the databases that restores replaced, at the server's
//! console.

use std::path::Path;

use chrono::SecondsFormat;
use clap::Subcommand;
use serde::Serialize;
use yuantus_config::Purpose;
use yuantus_control_plane::app::tombstone::{expire_tombstone, tombstones};
use yuantus_identity::entity::tombstone::Model;

use super::db;
use crate::{
    failure::Failure,
    output::{Output, Show, note},
    run::load_config,
};

/// What can be done with tombstones.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them, with the time when each is dropped
    List,
    /// Drop one before its time. A worker does it, within half a minute; there
    /// is no way back. The audit trail of its tenant keeps it
    Drop {
        /// The database's name, as `list` shows it
        name: String,
    },
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, file: Option<&Path>, output: Output) -> Result<(), Failure> {
        let config = load_config(file, Purpose::Identity, &[])?;
        let db = db::open(&config).await?;
        match self {
            Self::List => {
                let failed = |error| Failure::local("list tombstones", error);
                let rows = tombstones(&db).await.map_err(failed)?;
                output.list(&rows.into_iter().map(Row::from).collect::<Vec<_>>())
            }
            Self::Drop { name } => {
                let failed = |error| Failure::local("drop the tombstone", error);
                let expired = expire_tombstone(&db, &name).await.map_err(failed)?;
                note(&format!(
                    "{name} of {}/{} is dropped by the next worker that looks",
                    expired.tenant_id, expired.org_id
                ));
                Ok(())
            }
        }
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    tenant_id: String,
    org_id: String,
    operation_id: String,
    create_time: String,
    expire_time: String,
}

impl From<Model> for Row {
    fn from(model: Model) -> Self {
        Self {
            name: model.name,
            tenant_id: model.tenant_id,
            org_id: model.org_id,
            operation_id: model.operation_id.to_string(),
            create_time: model.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            expire_time: model.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        }
    }
}

impl Show for Row {
    const COLUMNS: &'static [&'static str] = &["NAME", "ORG", "MADE", "DROPPED"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            format!("{}/{}", self.tenant_id, self.org_id),
            self.create_time.clone(),
            self.expire_time.clone(),
        ]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
