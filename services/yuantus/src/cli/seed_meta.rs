//! `yuantus seed-meta`: sees that an org's database is there and current, at
//! the server's console. Does the work itself where no worker runs.

use std::{path::Path, time::Duration};

use clap::Args;
use yuantus_config::{Config, Purpose};
use yuantus_control_plane::app::App;
use yuantus_domain::{DatabaseState, OperationState, OperationType, OrgKey, PageSize};
use yuantus_identity::{entity::operation::Model, query::operation::Filter};

use crate::{
    failure::Failure,
    output::note,
    run::{at_console, load_config, worker::work_once},
};

/// How long another worker may take with the org.
const PATIENCE: Duration = Duration::from_mins(10);

/// Options of `seed-meta`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The tenant's id
    #[arg(long, value_name = "ID")]
    tenant: String,
    /// The org's id
    #[arg(long, value_name = "ID")]
    org: String,
}

fn failed(error: yuantus_domain::Error) -> Failure {
    Failure::local("see to the org's database", error)
}

impl Options {
    /// Sees to it.
    pub(crate) async fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let key = OrgKey::parse(&self.tenant, &self.org).map_err(failed)?;
        let config = load_config(file, Purpose::Api, &[])?;
        at_console(&config, async |app| {
            let (_, database) = app.get_org(&key).await.map_err(failed)?;
            if database.state != DatabaseState::Ready.as_str() {
                let making = newest(app, &key).await?;
                end(app, &config, making).await?;
            }
            let status = app.get_migration_status(&key).await.map_err(failed)?;
            if !status.pending.is_empty() {
                let migrating = app.apply_migrations(&key, None).await.map_err(failed)?;
                end(app, &config, migrating).await?;
            }
            let status = app.get_migration_status(&key).await.map_err(failed)?;
            note(&format!("the database of org {key} is there, at revision {}", status.revision));
            Ok(())
        })
        .await
    }
}

/// The newest operation that makes the org's database; a failed one begins anew.
async fn newest(app: &App, key: &OrgKey) -> Result<Model, Failure> {
    let filter = Filter {
        tenant: Some(key.tenant.clone()),
        org: Some(key.org.clone()),
        ..Filter::default()
    };
    let page = app
        .list_operations(filter, PageSize::parse(0).map_err(failed)?, "")
        .await
        .map_err(failed)?;
    let made = page.items.into_iter().find(|operation| {
        [OperationType::CreateDatabase, OperationType::RestoreDatabase]
            .iter()
            .any(|kind| kind.as_str() == operation.kind)
    });
    let missing = || failed(yuantus_domain::Error::not_found("operation of org", key));
    let operation = made.ok_or_else(missing)?;
    match OperationState::parse(&operation.state) {
        Some(OperationState::Failed | OperationState::Cancelled) => {
            app.retry_operation(operation.id).await.map_err(failed)
        }
        _ => Ok(operation),
    }
}

/// Sees an operation to its end.
async fn end(app: &App, config: &Config, operation: Model) -> Result<(), Failure> {
    work_once(config).await?;
    let ended = app.wait_operation(operation.id, PATIENCE).await.map_err(failed)?;
    if ended.state == OperationState::Succeeded.as_str() {
        return Ok(());
    }
    let message = match ended.error_message.is_empty() {
        true => format!("operation {} is still {}", ended.id, ended.state),
        false => format!("operation {}: {}", ended.id, ended.error_message),
    };
    Err(Failure::local("see to the org's database", message))
}
