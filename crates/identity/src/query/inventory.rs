//! What the identity database says is there, for comparing it with what is.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, TryGetable};

use crate::{Context, Result};

/// What the identity database says is there.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The state of each recorded database, by name.
    pub databases: BTreeMap<String, String>,
    /// The names of recorded tombstones.
    pub tombstones: BTreeSet<String>,
    /// Operations that have not ended, and those that ended not long ago.
    pub operations: BTreeSet<String>,
    /// The places in the bucket that claims of backups wrote to.
    pub prefixes: BTreeSet<String>,
    /// The places of complete backups, with the name of each.
    pub backups: BTreeMap<String, String>,
}

/// Reads all of it. To be compared with what was listed *before*: what is made
/// in between is recorded first.
pub async fn read(db: &impl ConnectionTrait) -> Result<Inventory> {
    let one = |row: QueryResult| row.try_get("", "a");
    let databases = "SELECT name AS a, state AS b FROM databases";
    let prefixes = "SELECT prefix AS a FROM backup_prefixes UNION SELECT prefix FROM backups";
    let backups = "SELECT prefix AS a, tenant_id || '/' || org_id || ' ' || id AS b
        FROM backups WHERE state = 'COMPLETE'";
    Ok(Inventory {
        databases: rows(db, databases, pair).await?,
        tombstones: rows(db, "SELECT name AS a FROM tombstones", one).await?,
        operations: rows(db, "SELECT id::text AS a FROM operations", one).await?,
        prefixes: rows(db, prefixes, one).await?,
        backups: rows(db, backups, pair).await?,
    })
}

fn pair<A: TryGetable, B: TryGetable>(row: QueryResult) -> Result<(A, B), DbErr> {
    Ok((row.try_get("", "a")?, row.try_get("", "b")?))
}

async fn rows<T, C: FromIterator<T>>(
    db: &impl ConnectionTrait,
    sql: &str,
    read: impl Fn(QueryResult) -> Result<T, DbErr>,
) -> Result<C> {
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let rows = db.query_all_raw(statement).await.during("read inventory")?;
    rows.into_iter().map(read).collect::<std::result::Result<C, _>>().during("read inventory")
}
