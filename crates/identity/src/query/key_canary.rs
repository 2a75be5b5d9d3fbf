//! Which keys are in use, and proof of them; see the migration.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use crate::{Context, Result};

/// What the key is for that secrets are sealed with.
pub const SECRETS: &str = "secrets";
/// What the secret is for that tokens are signed with.
pub const TOKENS: &str = "tokens";

/// A row of `key_canaries`.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Canary {
    /// The key's name.
    pub key_name: String,
    /// What only the key opens.
    pub canary: Vec<u8>,
}

/// The canaries of one purpose, oldest first.
pub async fn canaries(db: &impl ConnectionTrait, purpose: &str) -> Result<Vec<Canary>> {
    let sql = "SELECT key_name, canary FROM key_canaries WHERE purpose = $1
        ORDER BY created_at, key_name";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [purpose.into()]);
    Canary::find_by_statement(statement).all(db).await.during("read key canaries")
}

/// Keeps a canary; one of the same key stays.
pub async fn insert(db: &impl ConnectionTrait, purpose: &str, new: &Canary) -> Result<()> {
    let sql = "INSERT INTO key_canaries (purpose, key_name, canary) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    let values: [Value; 3] =
        [purpose.into(), new.key_name.as_str().into(), new.canary.clone().into()];
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("insert key canary")
        .map(drop)
}

/// Deletes the canaries of all keys but these: those others are in use no more.
/// Answers how many there were.
pub async fn delete_others(db: &impl ConnectionTrait, purpose: &str, kept: &[&str]) -> Result<u64> {
    let sql = "DELETE FROM key_canaries WHERE purpose = $1 AND key_name <> ALL($2)";
    let kept: Vec<String> = kept.iter().map(|name| (*name).to_owned()).collect();
    let values: [Value; 2] = [purpose.into(), kept.into()];
    let deleted = db
        .execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .await
        .during("delete key canaries")?;
    Ok(deleted.rows_affected())
}

/// Waits until nobody writes anything sealed, and keeps others from it until
/// the transaction ends.
pub async fn lock(txn: &impl ConnectionTrait) -> Result<()> {
    txn.execute_unprepared("SELECT pg_advisory_xact_lock(sealing_lock())")
        .await
        .during("lock sealing")
        .map(drop)
}
