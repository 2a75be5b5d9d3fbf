//! `yuantus bundle`: needs no server.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use yuantus_tenant_schema::{Bundle, Migration};

use crate::{
    failure::Failure,
    output::{Format, Output, Show, note},
};

/// What can be done with bundles.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a directory of migrations, without a database
    Check {
        /// Migrations named as sqlx, golang-migrate or Flyway name them; the
        /// built-in bundle if not given
        directory: Option<PathBuf>,
    },
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, output: Output) -> Result<(), Failure> {
        let Self::Check { directory } = self;
        let bundle = match &directory {
            Some(directory) => Bundle::load(directory)
                .map_err(|error| Failure::local("check the bundle", error))?,
            None => Bundle::builtin(),
        };
        let rows: Vec<Row> = bundle.migrations().iter().map(Row::from).collect();
        output.list(&rows)?;
        if output.format() == Format::Table {
            note(&format!("{} migrations, fingerprint {}", rows.len(), bundle.fingerprint()));
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Row {
    version: i64,
    description: String,
    file: String,
    checksum: String,
    transaction: bool,
    check: bool,
}

impl From<&Migration> for Row {
    fn from(migration: &Migration) -> Self {
        Self {
            version: migration.version,
            description: migration.description.clone(),
            file: migration.file.clone(),
            checksum: hex::encode(migration.checksum),
            transaction: !migration.no_transaction,
            check: migration.check_sql.is_some(),
        }
    }
}

impl Show for Row {
    const COLUMNS: &'static [&'static str] =
        &["VERSION", "DESCRIPTION", "FILE", "CHECKSUM", "TRANSACTION", "CHECK"];

    fn cells(&self) -> Vec<String> {
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        vec![
            self.version.to_string(),
            self.description.clone(),
            self.file.clone(),
            self.checksum[..12].to_owned(),
            yes(self.transaction),
            yes(self.check),
        ]
    }

    fn name(&self) -> String {
        self.version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use crate::output::snapshot::formats;

    use super::*;

    #[test]
    fn a_bundle_in_every_format() {
        let rows: Vec<Row> = Bundle::builtin().migrations().iter().take(1).map(Row::from).collect();
        insta::assert_snapshot!(formats(&rows));
    }
}
