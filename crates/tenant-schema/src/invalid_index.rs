//! A `CREATE INDEX CONCURRENTLY` that fails leaves an invalid index behind,
//! which the next attempt would stumble over, or, with IF NOT EXISTS, take for
//! done. Indexes that are invalid and named in the migration are dropped,
//! before and after it; no other.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::{Migration, lexer, server_error::Cause};

const INVALID: &str = "
SELECT format('%I.%I', namespace.nspname, class.relname)
FROM pg_catalog.pg_index AS index
JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE NOT index.indisvalid AND class.relkind = 'i' AND class.relname = ANY($1)";

/// Drops what an earlier attempt at `migration` left.
pub(crate) async fn drop_leftovers(
    connection: &mut PgConnection,
    migration: &Migration,
) -> Result<(), Cause> {
    let statements = lexer::split(&migration.sql).unwrap_or_default();
    let names: Vec<String> =
        statements.into_iter().flat_map(|s| s.words.into_iter().chain(s.quoted)).collect();
    let invalid: Vec<String> =
        sqlx::query_scalar(INVALID).bind(names).fetch_all(&mut *connection).await?;
    for index in invalid {
        tracing::info!(index, file = migration.file, "dropping an invalid index");
        let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}
