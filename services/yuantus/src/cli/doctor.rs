//! `yuantus doctor`: compares what the identity database says with what is on
//! the server of the orgs' databases and in the bucket. Changes nothing.

use std::path::Path;

use clap::Args;
use serde::Serialize;
use yuantus_config::Purpose;
use yuantus_control_plane::app::doctor::Difference;

use crate::{
    failure::Failure,
    output::{Format, Output, Show, note},
    run::{at_console, load_config},
};

/// Options of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct Options {}

impl Options {
    /// Lists what differs; fails where anything does.
    pub(crate) async fn run(self, file: Option<&Path>, output: Output) -> Result<(), Failure> {
        let config = load_config(file, Purpose::Api, &[])?;
        let failed = |error| Failure::local("compare", error);
        let found =
            at_console(&config, async |app| app.differences().await.map_err(failed)).await?;
        let rows: Vec<Row> = found.into_iter().map(Row).collect();
        if rows.is_empty() {
            if output.format() == Format::Table {
                note("identity database, server and bucket agree");
                return Ok(());
            }
            return output.list(&rows);
        }
        output.list(&rows)?;
        Err(Failure::local("find everything in order", format!("{} differences", rows.len())))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Row(Difference);

impl Show for Row {
    const COLUMNS: &'static [&'static str] = &["KIND", "NAME", "FINDING"];

    fn cells(&self) -> Vec<String> {
        vec![self.0.kind.to_owned(), self.0.name.clone(), self.0.finding.clone()]
    }

    fn name(&self) -> String {
        self.0.name.clone()
    }
}
