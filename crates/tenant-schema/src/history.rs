//! `yuantus_schema.migrations`: which migrations a database has.
//!
//! It is in a schema of its own, out of reach of the org's role. A row without
//! `applied_at` is of a migration that runs outside a transaction and was
//! begun; whether it ended, only the catalog knows.

use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{Migration, server_error::Cause};

const EXISTS: &str = "SELECT to_regclass('yuantus_schema.migrations') IS NOT NULL";

const CREATE: &str = "
BEGIN;
CREATE SCHEMA IF NOT EXISTS yuantus_schema;
REVOKE ALL ON SCHEMA yuantus_schema FROM PUBLIC;
CREATE TABLE IF NOT EXISTS yuantus_schema.migrations (
    version      bigint      PRIMARY KEY,
    description  text        NOT NULL,
    checksum     bytea       NOT NULL,
    applied_at   timestamptz,
    execution_ms bigint
);
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'yuantus_tenant_app') THEN
        REVOKE ALL ON SCHEMA yuantus_schema FROM yuantus_tenant_app;
        REVOKE ALL ON yuantus_schema.migrations FROM yuantus_tenant_app;
    END IF;
END
$$;
COMMIT;
";

/// What is recorded of one migration.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) version: i64,
    pub(crate) description: String,
    pub(crate) checksum: Vec<u8>,
    /// Whether it is known to have ended.
    pub(crate) finished: bool,
}

/// Reads the record, oldest first; empty where there is none.
pub(crate) async fn read(connection: &mut PgConnection) -> Result<Vec<Applied>, Cause> {
    let exists: bool = sqlx::query_scalar(EXISTS).fetch_one(&mut *connection).await?;
    if !exists {
        return Ok(Vec::new());
    }
    let sql = "SELECT version, description, checksum, applied_at IS NOT NULL
               FROM yuantus_schema.migrations ORDER BY version";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    Ok(rows.iter().map(applied).collect::<Result<_, sqlx::Error>>()?)
}

fn applied(row: &PgRow) -> Result<Applied, sqlx::Error> {
    Ok(Applied {
        version: row.try_get(0)?,
        description: row.try_get(1)?,
        checksum: row.try_get(2)?,
        finished: row.try_get(3)?,
    })
}

/// Makes the table where it is missing.
pub(crate) async fn create(connection: &mut PgConnection) -> Result<(), Cause> {
    let exists: bool = sqlx::query_scalar(EXISTS).fetch_one(&mut *connection).await?;
    if !exists {
        sqlx::raw_sql(CREATE).execute(connection).await?;
    }
    Ok(())
}

/// Records that a migration was begun; false where that was recorded before,
/// of the same text.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    migration: &Migration,
) -> Result<bool, Cause> {
    let sql = "INSERT INTO yuantus_schema.migrations (version, description, checksum)
               VALUES ($1, $2, $3)
               ON CONFLICT (version) DO UPDATE
               SET description = excluded.description, checksum = excluded.checksum
               WHERE migrations.checksum <> excluded.checksum";
    let done = sqlx::query(sql)
        .bind(migration.version)
        .bind(&migration.description)
        .bind(migration.checksum.as_slice())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes back [`begin`]: the server refused, so nothing was done.
pub(crate) async fn forget(
    connection: &mut PgConnection,
    migration: &Migration,
) -> Result<(), Cause> {
    let sql = "DELETE FROM yuantus_schema.migrations WHERE version = $1 AND applied_at IS NULL";
    sqlx::query(sql).bind(migration.version).execute(connection).await?;
    Ok(())
}

/// Records that a migration was applied.
pub(crate) async fn finish(
    connection: &mut PgConnection,
    migration: &Migration,
    execution_ms: i64,
) -> Result<(), Cause> {
    let sql = "INSERT INTO yuantus_schema.migrations
                   (version, description, checksum, applied_at, execution_ms)
               VALUES ($1, $2, $3, now(), $4)
               ON CONFLICT (version) DO UPDATE
               SET applied_at = excluded.applied_at, execution_ms = excluded.execution_ms";
    sqlx::query(sql)
        .bind(migration.version)
        .bind(&migration.description)
        .bind(migration.checksum.as_slice())
        .bind(execution_ms)
        .execute(connection)
        .await?;
    Ok(())
}
