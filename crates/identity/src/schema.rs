//! Whether a database is the identity database that this program was made for.
//!
//! Invariant: no process works on a schema of another version. An older one
//! lacks what queries ask for; a newer one has rules that this program breaks.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use sea_orm_migration::MigratorTrait;

use crate::{Context, Error, Result, migration::Migrator};

/// Fails unless the database is UTF-8 and has exactly this program's
/// migrations. Writes nothing.
pub async fn check(db: &DatabaseConnection) -> Result<()> {
    check_encoding(db).await?;
    compare(&applied(db).await?)
}

/// Fails unless the database is UTF-8: names and reasons are any language's.
pub async fn check_encoding(db: &DatabaseConnection) -> Result<()> {
    let sql = "SELECT current_setting('server_encoding') AS encoding";
    let row = db.query_one_raw(statement(sql)).await.during("read identity database encoding")?;
    let row = row.ok_or(sea_orm::DbErr::RecordNotFound("encoding".into()));
    let encoding: String = row
        .and_then(|row| row.try_get("", "encoding"))
        .during("read identity database encoding")?;
    if encoding == "UTF8" { Ok(()) } else { Err(Error::Encoding { found: encoding }) }
}

/// The names of the migrations applied; none where there is no record of any.
async fn applied(db: &DatabaseConnection) -> Result<BTreeSet<String>> {
    let sql = "SELECT version FROM seaql_migrations";
    let rows = match db.query_all_raw(statement(sql)).await.during("list applied migrations") {
        // Nobody has prepared it yet.
        Err(error) if error.sqlstate().as_deref() == Some("42P01") => return Ok(BTreeSet::new()),
        rows => rows?,
    };
    let names = rows.iter().map(|row| row.try_get("", "version"));
    names.collect::<Result<_, sea_orm::DbErr>>().during("list applied migrations")
}

fn compare(applied: &BTreeSet<String>) -> Result<()> {
    let known: BTreeSet<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    if let Some(unknown) = applied.difference(&known).max() {
        return Err(Error::SchemaNewer { unknown: unknown.clone() });
    }
    match known.difference(applied).next() {
        Some(missing) => Err(Error::SchemaOlder { missing: missing.clone() }),
        None => Ok(()),
    }
}

fn statement(sql: &str) -> Statement {
    Statement::from_string(DbBackend::Postgres, sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_and_newer_schemas_are_told_apart_by_their_migrations() {
        let mut applied: BTreeSet<String> =
            Migrator::migrations().iter().map(|m| m.name().to_owned()).collect();
        assert!(compare(&applied).is_ok());
        applied.insert("m29991231_000001_future".to_owned());
        assert!(matches!(compare(&applied), Err(Error::SchemaNewer { .. })));
        // What is both is newer: an upgrade by this program cannot mend it.
        let first = applied.pop_first();
        assert!(matches!(compare(&applied), Err(Error::SchemaNewer { .. })));
        applied.pop_last();
        assert!(matches!(
            compare(&applied),
            Err(Error::SchemaOlder { missing }) if Some(&missing) == first.as_ref()
        ));
    }
}
