//! Brings a database to the bundle's newest version.

use std::time::{Duration, Instant};

use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, Connection, Either, Executor, PgConnection};
use yuantus_domain::DatabaseName;
use yuantus_postgres::DatabaseAccess;

use crate::{
    Bundle, Error, Migration, Result, check, history, invalid_index,
    lexer::{self, line_at},
    plan::Plan,
    server_error::Cause,
    session::{self, failed},
};

/// How often one migration is tried where a table lock is not to be had.
const LOCK_ATTEMPTS: u32 = 5;
const LOCK_BACKOFF: Duration = Duration::from_millis(200);

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The version before; 0 before the first.
    pub from: i64,
    /// The version now.
    pub to: i64,
    /// The versions applied, oldest first.
    pub applied: Vec<i64>,
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its version; 0 before the first.
    pub revision: i64,
    /// What it lacks, oldest first.
    pub pending: Vec<i64>,
}

/// Reads where a database is. Fails where its history is not the bundle's.
pub async fn status(bundle: &Bundle, access: &DatabaseAccess) -> Result<Status> {
    let database = access.database();
    let mut connection = session::connect(access, database).await?;
    let history = read_history(&mut connection, database).await?;
    close(connection).await;
    let plan = Plan::new(bundle, &history, database)?;
    let pending = plan.pending.iter().map(|migration| migration.version).collect();
    Ok(Status { revision: plan.revision, pending })
}

/// Applies what a database lacks, oldest first, and tells `progress` how many
/// of how many are done, 0 of them first. Does nothing the second time. A
/// failure keeps what was applied before it.
pub async fn migrate(
    bundle: &Bundle,
    access: &DatabaseAccess,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<Report> {
    let database = access.database();
    let mut connection = session::open(access, database).await?;
    let history = read_history(&mut connection, database).await?;
    let plan = Plan::new(bundle, &history, database)?;
    let total = plan.pending.len() as u64;
    progress(0, total);
    if total > 0 {
        history::create(&mut connection)
            .await
            .map_err(|source| failed("create the migration history", database, source))?;
    }
    let mut applied = Vec::new();
    for migration in plan.pending {
        apply_patiently(&mut connection, migration, database).await?;
        applied.push(migration.version);
        progress(applied.len() as u64, total);
    }
    close(connection).await;
    let to = applied.last().copied().unwrap_or(plan.revision);
    Ok(Report { from: plan.revision, to, applied })
}

async fn read_history(
    connection: &mut PgConnection,
    database: &DatabaseName,
) -> Result<Vec<history::Applied>> {
    history::read(connection)
        .await
        .map_err(|source| failed("read the migration history", database, source))
}

/// All is committed: a goodbye that does not arrive changes nothing.
async fn close(connection: PgConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the connection was gone before it was closed");
    }
}

/// Tries again where the tables were in use.
async fn apply_patiently(
    connection: &mut PgConnection,
    migration: &Migration,
    database: &DatabaseName,
) -> Result<()> {
    let mut pause = LOCK_BACKOFF;
    for attempt in 1.. {
        match apply(connection, migration, database).await {
            Err(Error::Apply { source, file, line, .. })
                if source.is_lock_timeout() && attempt < LOCK_ATTEMPTS =>
            {
                tracing::info!(%database, file, line, attempt, "tables are in use, trying again");
            }
            result => return result,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}

async fn apply(
    connection: &mut PgConnection,
    migration: &Migration,
    database: &DatabaseName,
) -> Result<()> {
    let unprepared = |source| failed("prepare the session", database, source);
    session::refresh(connection).await.map_err(unprepared)?;
    let roles = session::roles(connection).await.map_err(unprepared)?;
    let started = Instant::now();
    if migration.no_transaction {
        alone(connection, migration, database).await?;
        same_roles(connection, migration, database, &roles).await?;
    }
    begin(connection).await.map_err(unprepared)?;
    let result = transact(connection, migration, database, &roles, started).await;
    if result.is_err() {
        // The error that matters is at hand; a lost connection rolls back too.
        let _ = connection.execute("ROLLBACK").await;
    }
    result
}

async fn begin(connection: &mut PgConnection) -> Result<(), Cause> {
    connection.execute("BEGIN").await?;
    Ok(())
}

/// The migration (unless it ran alone), its check and its record.
async fn transact(
    connection: &mut PgConnection,
    migration: &Migration,
    database: &DatabaseName,
    roles: &(String, String),
    started: Instant,
) -> Result<()> {
    let unrecorded = |source| failed("record a migration", database, source);
    if !migration.no_transaction {
        execute(connection, &migration.sql)
            .await
            .map_err(|(before, source)| refused(migration, database, before, source))?;
        same_roles(connection, migration, database, roles).await?;
        // A migration may have set a search path or read-only.
        session::restore(connection).await.map_err(unrecorded)?;
    }
    check::run(connection, migration, database).await?;
    let elapsed = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    history::finish(connection, migration, elapsed).await.map_err(unrecorded)?;
    connection.execute("COMMIT").await.map_err(|error| unrecorded(error.into()))?;
    Ok(())
}

/// Fails where a migration left the session to somebody else, by a function
/// that it called: nobody knows what it made as whom.
async fn same_roles(
    connection: &mut PgConnection,
    migration: &Migration,
    database: &DatabaseName,
    before: &(String, String),
) -> Result<()> {
    let now = session::roles(connection)
        .await
        .map_err(|source| failed("prepare the session", database, source))?;
    if now == *before {
        return Ok(());
    }
    let (file, database) = (migration.file.clone(), database.clone());
    Err(Error::RoleChanged { file, database, found: now.0, expected: before.0.clone() })
}

/// Runs a migration outside a transaction. One that was begun before and now
/// finds its work done is done: the worker died between the work and the
/// record of it.
async fn alone(
    connection: &mut PgConnection,
    migration: &Migration,
    database: &DatabaseName,
) -> Result<()> {
    let unrecorded = |source| failed("record a migration", database, source);
    let first = history::begin(connection, migration).await.map_err(unrecorded)?;
    let leftovers = |source| failed("drop invalid indexes", database, source);
    invalid_index::drop_leftovers(connection, migration).await.map_err(leftovers)?;
    let Err((before, source)) = execute(connection, &migration.sql).await else {
        return Ok(());
    };
    let done_already = matches!(source.code(), Some("42P07" | "42710" | "42704"));
    if done_already && !first {
        tracing::info!(%database, file = migration.file, "was done before it could be recorded");
        return Ok(());
    }
    if source.code().is_some() {
        undo(connection, migration, database).await;
    }
    Err(refused(migration, database, before, source))
}

/// Cleans up after a refusal. What cannot be cleaned now is before the next
/// attempt.
async fn undo(connection: &mut PgConnection, migration: &Migration, database: &DatabaseName) {
    let dropped = invalid_index::drop_leftovers(connection, migration).await;
    let forgotten = history::forget(connection, migration).await;
    if let Err(error) = dropped.and(forgotten) {
        let file = &migration.file;
        tracing::warn!(%database, file, %error, "a failed migration is not cleaned up yet");
    }
}

/// Sends a file as it is. An error comes with how many statements were done.
async fn execute(connection: &mut PgConnection, sql: &str) -> Result<(), (usize, Cause)> {
    let mut done = 0;
    let mut results = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_many(connection);
    loop {
        match results.try_next().await {
            Ok(Some(Either::Left(_))) => done += 1,
            Ok(Some(Either::Right(_))) => {}
            Ok(None) => return Ok(()),
            Err(error) => return Err((done, error.into())),
        }
    }
}

fn refused(migration: &Migration, database: &DatabaseName, before: usize, source: Cause) -> Error {
    let line = error_line(&migration.sql, before, &source);
    Error::Apply { file: migration.file.clone(), line, database: database.clone(), source }
}

/// The line of an error: the server's position where it gave one, else the
/// first line of the statement that follows the `before` that were done.
pub(crate) fn error_line(sql: &str, before: usize, cause: &Cause) -> usize {
    if let Some(position) = cause.position() {
        let until = sql.chars().take(position.saturating_sub(1));
        return until.filter(|c| *c == '\n').count() + 1;
    }
    let statements = lexer::split(sql).unwrap_or_default();
    statements.get(before).map_or(1, |statement| line_at(sql, statement.start))
}
