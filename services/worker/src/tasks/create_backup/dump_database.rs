//! Streams `pg_dump` into a repository of this claim's own, and keeps the
//! manifest once the child has ended well.

use async_trait::async_trait;
use uuid::Uuid;
use yuantus_backup::{DatabaseFacts, Error, Repository, SnapshotMeta, StoredDump, TableRows};
use yuantus_domain::{backup_prefix, operation_input::OfBackup};
use yuantus_identity::{entity::database, for_org};
use yuantus_operations::{Outcome, Run, Step, StepError, StepResult, crashpoint};
use yuantus_postgres::dump::{Dump, DumpFacts};

use super::repository;
use crate::{Deps, failure, progress::with_progress};

pub(super) struct DumpDatabase;

#[async_trait]
impl Step<Deps> for DumpDatabase {
    fn name(&self) -> &'static str {
        "dump_database"
    }

    fn crash_points(&self) -> &'static [&'static str] {
        &["after_prefix", "after_init", "after_dump", "after_manifest"]
    }

    async fn run(&self, deps: &Deps, run: &Run) -> StepResult {
        let input: OfBackup = run.input()?;
        let row = deps.database(run).await?;
        let prefix =
            backup_prefix::of_claim(run.key(), input.backup_id, run.epoch(), Uuid::new_v4());
        record_prefix(run, input.backup_id, &prefix).await?;
        crashpoint!("CreateBackup.dump_database.after_prefix");
        run.check()?;
        let repository = repository(deps, run, run.key(), &prefix).await?;
        repository.init().await.map_err(failure::backup)?;
        crashpoint!("CreateBackup.dump_database.after_init");
        let (facts, stored) = dump(deps, run, &row, &repository, &input).await?;
        crashpoint!("CreateBackup.dump_database.after_dump");
        let manifest = repository.put_manifest(stored, facts).await.map_err(failure::backup)?;
        crashpoint!("CreateBackup.dump_database.after_manifest");
        let manifest =
            serde_json::to_value(manifest).map_err(|error| StepError::fail("INTERNAL", error))?;
        let txn = run.begin().await?;
        for_org(run.key()).draft_manifest(&txn, input.backup_id, &prefix, manifest).await?;
        Ok(Outcome::AdvanceIn(txn))
    }
}

/// What is written there may be deleted from now on, and nothing else.
async fn record_prefix(run: &Run, backup: Uuid, prefix: &str) -> Result<(), StepError> {
    let txn = run.begin().await?;
    for_org(run.key()).insert_backup_prefix(&txn, backup, prefix).await?;
    run.commit(txn).await
}

async fn dump(
    deps: &Deps,
    run: &Run,
    row: &database::Model,
    repository: &Repository,
    input: &OfBackup,
) -> Result<(DatabaseFacts, StoredDump), StepError> {
    let name = crate::deps::name(&row.name)?;
    let lane = deps.database_lane(run, &name).await?;
    let access = deps.server.access(&name, lane.tag());
    let mut dump = Dump::start(&access, &deps.tools, &row.role).await.map_err(failure::dumping)?;
    let Some(reader) = dump.take_reader().map_err(failure::postgres)? else {
        return Err(StepError::refuse("INTERNAL", "the dump has no output"));
    };
    let meta = SnapshotMeta {
        backup_id: input.backup_id.to_string(),
        host: run.key().to_string(),
        tags: Vec::new(),
    };
    let name = format!("{}.dump", row.name);
    let stored = with_progress(run, "bytes", |reporter| {
        let report = move |bytes| reporter.report(bytes, 0);
        repository.backup(meta, &name, reader, report)
    });
    let stored = stored.await;
    // A child that failed says more than that its output ended.
    let ended = dump.finish().await;
    let facts = match (ended, stored) {
        (Ok(facts), Ok(stored)) => (facts_of(row, facts)?, stored),
        (Ok(_), Err(error)) => return Err(failure::backup(error)),
        (Err(_), Err(error)) if !matches!(error, Error::Source { .. }) => {
            return Err(failure::backup(error));
        }
        (Err(error), _) => return Err(failure::dumping(error)),
    };
    lane.close().await;
    Ok(facts)
}

fn facts_of(row: &database::Model, facts: DumpFacts) -> Result<DatabaseFacts, StepError> {
    let tables = facts.tables.into_iter();
    let contents = serde_json::to_value(facts.contents);
    Ok(DatabaseFacts {
        database: row.name.clone(),
        revision: row.revision,
        bundle_fingerprint: row.bundle_fingerprint.clone(),
        server_version: facts.server_version,
        tables: tables
            .map(|t| TableRows { schema: t.schema, table: t.table, rows: t.rows })
            .collect(),
        contents: contents.map_err(|error| StepError::fail("INTERNAL", error))?,
    })
}
