//! `yuantus db`: the identity database's schema. Talks to PostgreSQL itself,
//! not to a server of ours.

mod break_glass;
mod confirm_clock;
mod create_admin;
mod fork;
mod grant;
mod recover_audit;
mod release;
mod rotate_key;

use std::path::Path;

use clap::Subcommand;
use serde::Serialize;
use yuantus_config::{Config, Purpose};
use yuantus_identity::{
    Database, connect,
    connect::create_if_missing,
    migration::{self, MigrationState},
    schema,
};

use crate::{
    failure::Failure,
    output::{Format, Output, Show, note},
    run::{keys::prove_if_set, load_config, refused},
};

/// What can be done with the identity database's schema.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the identity database where it is missing, and apply what it lacks
    Upgrade,
    /// Show the newest migration applied
    Current,
    /// Show all migrations
    History,
    /// Make a platform administrator, at the server's console
    CreateAdmin(create_admin::Options),
    /// Get a platform administrator's token for a while, at the server's
    /// console, where nobody can log in any more; the audit trail keeps why
    BreakGlass(break_glass::Options),
    /// Say that the identity database's clock is right, after it has jumped:
    /// until then nothing is deleted by its age
    ConfirmClock(confirm_clock::Options),
    /// Let a role without ownership serve API and workers: it can add to the
    /// audit trail, but not change or delete it. Run again after an upgrade
    Grant(grant::Options),
    /// End recovery mode, once what `yuantus doctor` lists was looked at: this
    /// identity database is the one that counts
    Release(release::Options),
    /// Give this copy of an identity database a plane of its own: it touches
    /// nothing of the original's from then on
    Fork(fork::Options),
    /// Seal everything with secrets.key that secrets.previous_keys sealed, and sign
    /// every audit trail with it: then the previous keys can go. May run beside
    /// API and workers, be interrupted and run again
    RotateKey(rotate_key::Options),
    /// Go on with audit trails whose newest checkpoints the identity database has
    /// lost, as after it was restored from a dump; the trails keep that it was so
    RecoverAudit(recover_audit::Options),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, file: Option<&Path>, output: Output) -> Result<(), Failure> {
        let purpose = match self {
            Self::Release(_) | Self::Fork(_) => Purpose::Api,
            _ => Purpose::Identity,
        };
        let config = load_config(file, purpose, &[])?;
        match self {
            Self::Upgrade => {
                let applied = upgrade(&config).await?;
                let rows: Vec<Row> = applied.into_iter().map(Row::applied).collect();
                if rows.is_empty() && output.format() == Format::Table {
                    note("the identity database is up to date");
                    return Ok(());
                }
                output.list(&rows)
            }
            Self::Current => {
                let newest = history(&config).await?.into_iter().rfind(|row| row.applied);
                match newest {
                    Some(row) => output.one(&row),
                    None => {
                        note("nothing is applied; `yuantus db upgrade` does");
                        Ok(())
                    }
                }
            }
            Self::History => output.list(&history(&config).await?),
            Self::CreateAdmin(options) => options.run(&config).await,
            Self::BreakGlass(options) => options.run(&config).await,
            Self::ConfirmClock(options) => options.run(&config).await,
            Self::Grant(options) => options.run(&config).await,
            Self::Release(options) => options.run(&config).await,
            Self::Fork(options) => options.run(&config).await,
            Self::RotateKey(options) => options.run(&config, output).await,
            Self::RecoverAudit(options) => options.run(&config, output).await,
        }
    }
}

/// Brings the identity database to the newest migration; answers what it
/// applied.
pub(crate) async fn upgrade(config: &Config) -> Result<Vec<String>, Failure> {
    let failed = |error| Failure::local("upgrade the identity database", error);
    let url = config.identity_url().map_err(refused)?;
    create_if_missing(&url).await.map_err(failed)?;
    let db = connect(&url, 2, "yuantus:db").map_err(failed)?;
    let applied = migration::upgrade(&db).await.map_err(failed)?;
    prove_if_set(config, &db).await?;
    Ok(applied)
}

/// Opens an identity database that this program can work on.
pub(crate) async fn open(config: &Config) -> Result<Database, Failure> {
    let failed = |error| Failure::local("use the identity database", error);
    let url = config.identity_url().map_err(refused)?;
    let db = connect(&url, 2, "yuantus:db").map_err(failed)?;
    schema::check(&db).await.map_err(failed)?;
    prove_if_set(config, &db).await?;
    Ok(db)
}

async fn history(config: &Config) -> Result<Vec<Row>, Failure> {
    let failed = |error| Failure::local("read the identity database's history", error);
    let url = config.identity_url().map_err(refused)?;
    let db = connect(&url, 2, "yuantus:db").map_err(failed)?;
    let history = migration::history(&db).await.map_err(failed)?;
    Ok(history.into_iter().map(Row::from).collect())
}

#[derive(Serialize)]
struct Row {
    name: String,
    applied: bool,
}

impl Row {
    fn applied(name: String) -> Self {
        Self { name, applied: true }
    }
}

impl From<MigrationState> for Row {
    fn from(state: MigrationState) -> Self {
        Self { name: state.name, applied: state.applied }
    }
}

impl Show for Row {
    const COLUMNS: &'static [&'static str] = &["MIGRATION", "APPLIED"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), if self.applied { "yes" } else { "no" }.to_owned()]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use crate::output::snapshot::formats;

    use super::*;

    #[test]
    fn migrations_in_every_format() {
        let rows = [Row::applied("m1".into()), Row { name: "m2".into(), applied: false }];
        insta::assert_snapshot!(formats(&rows));
    }
}
