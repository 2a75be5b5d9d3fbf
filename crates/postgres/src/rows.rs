//! How many rows each table of a database has: what a restore is compared by.
//!
//! Counted are ordinary tables, the leaves of partitioned ones included; not
//! views, foreign tables, or what extensions brought.

use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::{
    DatabaseAccess, Identifier, Result,
    identifier::Literal,
    session::{Doing, SHORT, Session, WORK},
};

const TABLES: &str = "SELECT n.nspname::text, c.relname::text \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass \
       AND d.objid = c.oid AND d.deptype = 'e') \
     ORDER BY n.nspname, c.relname";

/// Tables counted in one round trip.
const AT_ONCE: usize = 50;

/// A table and its rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableRows {
    /// The table's schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// How many rows it has.
    pub rows: i64,
}

/// Counts the rows of every table, ordered by schema and table.
pub async fn count_tables(access: &DatabaseAccess) -> Result<Vec<TableRows>> {
    count_tables_with(access, "").await
}

/// As [`count_tables`], where functions of indexes find what they name by
/// `search_path`: to plan a count is to look into them.
pub async fn count_tables_with(
    access: &DatabaseAccess,
    search_path: &str,
) -> Result<Vec<TableRows>> {
    let mut session = Session::new(access.connect_as_admin().await?);
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned();
    session.run(Doing("count the rows of", access.database().as_str()), begin, SHORT).await?;
    let tables = count(&mut session, access.database().as_str(), search_path).await?;
    session.close().await;
    Ok(tables)
}

/// Counts in the session's own transaction. An empty search path is none.
pub(crate) async fn count(
    session: &mut Session,
    database: &str,
    search_path: &str,
) -> Result<Vec<TableRows>> {
    let doing = Doing("count the rows of", database);
    let failed = |source| doing.failed(source);
    let mut tables = Vec::new();
    for row in session.run(doing, TABLES.to_owned(), SHORT).await? {
        let schema = row.try_get(0).map_err(failed)?;
        let table = row.try_get(1).map_err(failed)?;
        tables.push(TableRows { schema, table, rows: 0 });
    }
    // A tenant's own row-level policies must not hide rows: rather an error.
    // Workers of a parallel count would take the dump's processor.
    let mut sql = "SET LOCAL row_security = off; \
         SET LOCAL max_parallel_workers_per_gather = 0; "
        .to_owned();
    if !search_path.is_empty() {
        let set = format!("SELECT set_config('search_path', {}, true)", Literal(search_path));
        session.run(doing, set, SHORT).await?;
    }
    for part in tables.chunks_mut(AT_ONCE) {
        for table in part.iter() {
            let (schema, name) = (Identifier::new(&table.schema)?, Identifier::new(&table.table)?);
            sql += &format!("SELECT count(*) FROM ONLY {schema}.{name}; ");
        }
        let counts = session.run(doing, std::mem::take(&mut sql), WORK).await?;
        for (table, count) in part.iter_mut().zip(&counts) {
            table.rows = count.try_get(0).map_err(failed)?;
        }
    }
    tables.sort();
    Ok(tables)
}
