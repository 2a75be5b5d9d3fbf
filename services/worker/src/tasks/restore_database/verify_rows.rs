//! Compares what was loaded with the manifest: every table, every count.

use async_trait::async_trait;
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult};
use yuantus_postgres::count_tables_with;

use super::{backup, contents, is_swapped};
use crate::{Deps, failure, names};

pub(super) struct VerifyRows;

#[async_trait]
impl Step<Deps> for VerifyRows {
    fn name(&self) -> &'static str {
        "verify_rows"
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let (_, _, manifest) = backup(run).await?;
        let lane = deps.lane(run).await?;
        if is_swapped(deps, run).await? {
            lane.close().await;
            return Ok(Outcome::Advance);
        }
        let access = deps.server.access(&names::restore(run.id())?, lane.tag());
        let path = contents(&manifest, "")?.map(|contents| contents.search_path);
        let loaded = count_tables_with(&access, path.as_deref().unwrap_or_default()).await;
        let loaded = loaded.map_err(failure::postgres)?;
        lane.close().await;
        let mut loaded: Vec<_> = loaded.into_iter().map(|t| (t.schema, t.table, t.rows)).collect();
        let mut expected: Vec<_> =
            manifest.facts.tables.into_iter().map(|t| (t.schema, t.table, t.rows)).collect();
        loaded.sort();
        expected.sort();
        match expected.iter().zip(&loaded).find(|(a, b)| a != b) {
            None if expected.len() == loaded.len() => Ok(Outcome::Advance),
            differ => Err(StepError::refuse("RESTORE_MISMATCH", mismatch(differ))),
        }
    }
}

type Table = (String, String, i64);

fn mismatch(differ: Option<(&Table, &Table)>) -> String {
    match differ {
        Some(((schema, table, expected), (other_schema, other, found))) => format!(
            "the backup has {schema}.{table} with {expected} rows, \
             the restored database {other_schema}.{other} with {found}"
        ),
        None => "the restored database has other tables than the backup".into(),
    }
}
